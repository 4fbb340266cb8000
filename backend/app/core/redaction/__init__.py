"""One policy for everything that leaves the process: logs, errors, spans, health output, labels."""

from .policy import MASK, RULES, Mode, Redaction

__all__ = ["MASK", "RULES", "Mode", "Redaction"]
