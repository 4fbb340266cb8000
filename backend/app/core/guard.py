"""Failures of telemetry itself: counted, told once a minute, never raised into a request.

Tests replace `report` by one that collects, so that what is swallowed in production breaks the suite.
"""

import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Final

from .redaction import Redaction

_EVERY_SECONDS = 60.0
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
    """One line on stderr in Cloud Logging's format, by the shortest way: logging itself may be what failed."""
    line = json.dumps({"severity": "WARNING", "message": message, **fields}, default=str)
    try:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, line.encode() + b"\n")
    except (OSError, ValueError):
        failures["stderr"] += 1
