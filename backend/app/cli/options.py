"""What the verbs share: addresses, small values of options, and how they fail."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import typer

DEFAULT_GRPC = "127.0.0.1:8085"
DEFAULT_HTTP = "http://127.0.0.1:8086"

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


def coloured(is_terminal: bool) -> bool:
    """Whether to write colours: only to terminals, and never against NO_COLOR (no-color.org)."""
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
