"""Python's levels as Cloud Logging's severities (google/logging/type/log_severity.proto)."""

_THRESHOLDS = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (25, "NOTICE"), (20, "INFO"), (10, "DEBUG"))


def of_level(level: int) -> str:
    """The severity of a level number; custom levels count as the next lower one."""
    for threshold, severity in _THRESHOLDS:
        if level >= threshold:
            return severity
    return "DEFAULT"


_OUTCOMES = {"ok": "INFO", "client_error": "WARNING", "client_closed": "WARNING", "shed": "WARNING"}


def of_outcome(outcome: str) -> str:
    """The severity of an access entry: a client's failure is a warning, ours an error."""
    return _OUTCOMES.get(outcome, "ERROR")
