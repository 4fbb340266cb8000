"""What the verbs share: addresses, small values of options, and how they fail."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..emulator.alerttest.policies import Policy

DEFAULT_GRPC = "127.0.0.1:8085"
DEFAULT_HTTP = "http://127.0.0.1:8086"
#: Where `cloudops run` takes requests.
FRONT_PORT = 8088

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", re.ASCII)
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,62}")


def fail(message: str, code: int = 1) -> NoReturn:
    """End with a sentence on stderr."""
    sys.stderr.write(f"cloudops: {message}\n")
    raise typer.Exit(code)


def grpc_address() -> str:
    """Where the emulator answers gRPC: `host:port`."""
    return (os.environ.get("CLOUDOPS_EMULATOR_HOST") or DEFAULT_GRPC).rpartition("//")[2].rstrip("/")


def http_address() -> str:
    """Where the emulator answers REST: `http://host:port`."""
    address = (os.environ.get("CLOUDOPS_EMULATOR_HTTP") or DEFAULT_HTTP).rstrip("/")
    return address if "://" in address else f"http://{address}"


def seconds(text: str) -> float:
    """`2s`, `90m`, `1.5h`, `60`: a positive length of time.

    Raises:
        typer.BadParameter: Anything else.
    """
    match = _DURATION.fullmatch(text.strip())
    value = 0.0 if match is None else float(match[1]) * _UNITS[match[2] or "s"]
    if value <= 0:
        raise typer.BadParameter(f"'{text}' is no length of time: write 30s, 5m, 1h or 1d")
    return value


def project_id(text: str) -> str:
    if not _PROJECT.fullmatch(text):
        raise typer.BadParameter(f"'{text}' is no project id: lower-case letters, digits and hyphens")
    return text


def pairs(given: Sequence[str], example: str) -> Mapping[str, str]:
    """`name=value` options.

    Raises:
        typer.BadParameter: One without `=`, or a name given twice.
    """
    found: dict[str, str] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"'{item}' is not of the form {example}")
        if name in found:
            raise typer.BadParameter(f"{name} is given twice")
        found[name] = value
    return found


def policies_from(origins: Sequence[str], variables: Mapping[str, Any]) -> "list[Policy]":
    """Policies of files and folders, of the `emulator` that runs, of `projects/ID`; the project's own without any.

    Raises:
        ScriptError: An origin cannot be used.
    """
    from ..emulator.alerttest.policies import read_policies  # noqa: PLC0415  # the emulator, for these verbs only
    from ..emulator.alerttest.remote import EMULATOR, GOOGLE, fetch_policies, project_in  # noqa: PLC0415  # as above

    found: list[Policy] = []
    files = [Path(one) for one in origins if one != EMULATOR and not project_in(one)]
    if files or not origins:
        found += read_policies(files, variables)
    for origin in origins:
        if origin == EMULATOR:
            found += fetch_policies(http_address(), str(variables.get("project", "demo")))
        elif project_in(origin):
            found += fetch_policies(GOOGLE, project_in(origin), google_credentials())
    return found


def google_credentials() -> "Callable[[], str]":
    from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415  # for real projects only

    from ..emulator.parity.session import google_token  # noqa: PLC0415  # as above

    try:
        return google_token()
    except DefaultCredentialsError:
        fail("there are no credentials: run `gcloud auth application-default login`", 2)


def coloured(is_terminal: bool) -> bool:
    """Whether to write colours: only to terminals, and never against NO_COLOR (no-color.org)."""
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
