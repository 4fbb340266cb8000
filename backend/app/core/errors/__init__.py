"""Errors as Error Reporting events, inside of log lines: no call to any service."""
