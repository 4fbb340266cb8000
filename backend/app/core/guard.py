"""Failures of telemetry itself: counted, told once a minute, never raised into a request.

Tests replace `report` by one that collects, so that what is swallowed in production breaks the suite.
"""

import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

from .redaction import Redaction
from .texts import text_of

if TYPE_CHECKING:
    from .logging.stdout import Stdout

_EVERY_SECONDS = 60.0
_WAITING_BYTES: Final = 256 * 1024
# Telemetry's own errors carry what it was looking at: never the service's settings for redaction, always all rules.
_redact: Final = Redaction().stack_trace
_last_told: dict[str, float] = {}

#: How often each place failed, for the metric `cloudops_internal_errors_total`.
failures: Counter[str] = Counter()


def _tell(where: str, error: BaseException) -> None:
    failures[where] += 1
    now = time.monotonic()
    if now - _last_told.get(where, -_EVERY_SECONDS) < _EVERY_SECONDS:
        return
    _last_told[where] = now
    warn(
        f"fastapi-cloudops: {where} failed; the service goes on without it",
        stack_trace=_redact("".join(traceback.format_exception(error))),
    )


#: Called with the place and the exception. Replaceable; must not raise.
report: Callable[[str, BaseException], None] = _tell


def caught(where: str, error: BaseException) -> None:
    """Report a failure through whatever `report` is at the time of the call."""
    report(where, error)


def warn(message: str, **fields: object) -> None:
    """One line on stderr in Cloud Logging's format, by the shortest way: logging itself may be what failed.

    Never waits: where nobody reads stderr, a bounded number of lines does.
    """
    if sys.__stderr__ is None:  # closed at the start: whatever has its number now is not ours to write to
        failures["stderr"] += 1
        return
    line = json.dumps({"severity": "WARNING", "message": message, **fields}, default=text_of)
    _stderr()(line.encode() + b"\n")


def keep(line: bytes) -> bool:
    """Write to stderr a line that standard output could not take; False when it cannot be written there either."""
    return sys.__stderr__ is not None and _stderr().keep(line)


@cache
def _stderr() -> "Stdout":
    from .logging.stdout import Stdout  # noqa: PLC0415  # which imports this module

    return Stdout(2, buffer_bytes=_WAITING_BYTES)
