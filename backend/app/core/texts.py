"""Texts and plain data of whatever a log call was given; nothing here raises for what it meets."""

from collections.abc import Mapping
from typing import Any, Final

_DEEPEST: Final = 32


def text_of(value: object) -> str:
    """`str(value)`, or what can be said of a value that has no text."""
    try:
        return str.__str__(str(value))
    except Exception as error:  # noqa: BLE001  # any code may stand in a `__str__`
        if isinstance(error, TypeError | ValueError | RecursionError) and type(value) in {tuple, list}:
            return f"[{len(value)} values without a text: {type(error).__name__}]"  # type: ignore[arg-type]  # it has a length
        return without_text(value, error)


def without_text(value: object, error: Exception) -> str:
    """What stands in place of a value that cannot be told."""
    return f"<{type(value).__name__} without a text: {type(error).__name__}>"


def strict(value: Any, depth: int = 0) -> Any:
    """The value as every JSON library takes it: texts that are UTF-8, names that are texts, numbers of 64 bits."""
    kind = type(value)
    if kind is str:
        return value.encode(errors="backslashreplace").decode()
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**64 else text_of(value)
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            return {strict(text_of(name)): strict(one, depth + 1) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [strict(one, depth + 1) for one in value]
    return strict(text_of(value))
