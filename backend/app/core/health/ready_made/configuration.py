"""Configuration: what the service needs is set, and can be read."""

import os
from collections.abc import Callable, Collection, Mapping

from ..checks import Answer


def configuration_check(
    validate: Callable[[], object] = lambda: None,
    *,
    required: Collection[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Callable[[], Answer]:
    """The settings are complete and valid; its answers name settings and never show values.

    Args:
        validate: Reads the settings, such as a class of pydantic-settings; raises when they are wrong.
        required: Variables that must be set and not empty.
        environ: The environment.
    """

    def ask() -> Answer:
        missing = sorted(name for name in required if not environ.get(name))
        if missing:
            return Answer("unhealthy", f"not set: {', '.join(missing)}")
        try:
            validate()
        except Exception as error:  # noqa: BLE001  # whatever the service's own code raises is the answer
            return Answer("unhealthy", _named(error))
        return Answer()

    return ask


def _named(error: Exception) -> str:
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return type(error).__name__  # its text may show what it was given
    # pydantic: the places and kinds of what is wrong, without `input` and `msg`, which may show values.
    return "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['type']}" for one in errors())
