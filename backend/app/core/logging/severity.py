"""Python's levels as Cloud Logging's severities (google/logging/type/log_severity.proto)."""

_THRESHOLDS = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (25, "NOTICE"), (20, "INFO"), (10, "DEBUG"))


def of_level(level: int) -> str:
    """The severity of a level number; custom levels count as the next lower one."""
    for threshold, severity in _THRESHOLDS:
        if level >= threshold:
            return severity
    return "DEFAULT"


def of_status(status: int) -> str:
    """The severity of an access entry, as Cloud Run's own request log has it."""
    return "ERROR" if status >= 500 else "WARNING" if status >= 400 else "INFO"  # noqa: PLR2004  # HTTP's classes
