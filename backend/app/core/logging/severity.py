"""Python's levels as Cloud Logging's severities (google/logging/type/log_severity.proto)."""

import logging

#: Names that Cloud Logging has for levels of which Python has none; a custom level of such a name is that severity.
_NAMES = frozenset({"NOTICE", "ALERT", "EMERGENCY"})
_THRESHOLDS = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (25, "NOTICE"), (20, "INFO"), (10, "DEBUG"))
_USUAL = frozenset(number for number, _ in _THRESHOLDS)


def of_level(level: int) -> str:
    """The severity of a level number; custom levels count by their name, or as the next lower one."""
    if level not in _USUAL and (name := logging.getLevelName(level)) in _NAMES:
        return str(name)
    for threshold, severity in _THRESHOLDS:
        if level >= threshold:
            return severity
    return "DEFAULT"


_OUTCOMES = {"ok": "INFO", "client_error": "WARNING", "client_closed": "WARNING", "shed": "WARNING"}


def of_outcome(outcome: str) -> str:
    """The severity of an access entry: a client's failure is a warning, ours an error."""
    return _OUTCOMES.get(outcome, "ERROR")
