"""Database queries: how long they take by operation, and how they fail by the classes of PEP 249."""

import asyncio
import re
from typing import Final

from ..instruments import Counter, Histogram, MetricsClient

# What a statement begins with; everything else is `other`.
_OPERATIONS: Final = {
    "ALTER": "ddl",
    "BEGIN": "begin",
    "COMMIT": "commit",
    "CREATE": "ddl",
    "DELETE": "delete",
    "DROP": "ddl",
    "END": "commit",
    "INSERT": "insert",
    "ROLLBACK": "rollback",
    "SELECT": "select",
    "START": "begin",
    "TRUNCATE": "ddl",
    "UPDATE": "update",
}
#: peps.python.org/pep-0249/#exceptions, and what drivers raise besides.
ERRORS: Final = frozenset(
    {
        "DataError",
        "DatabaseError",
        "IntegrityError",
        "InterfaceError",
        "InternalError",
        "NotSupportedError",
        "OperationalError",
        "ProgrammingError",
        "cancelled",
        "other",
        "timeout",
    }
)
# postgresql.org/docs/current/errcodes-appendix.html: the first two characters are the class of an error.
_SQLSTATES: Final = {
    "08": "OperationalError",
    "0A": "NotSupportedError",
    "21": "ProgrammingError",
    "22": "DataError",
    "23": "IntegrityError",
    "25": "InternalError",
    "26": "ProgrammingError",
    "28": "OperationalError",
    "3D": "ProgrammingError",
    "3F": "ProgrammingError",
    "40": "OperationalError",
    "42": "ProgrammingError",
    "53": "OperationalError",
    "54": "OperationalError",
    "55": "OperationalError",
    "57": "OperationalError",
    "58": "OperationalError",
    "XX": "InternalError",
}
_READ = 1024
# Past white space, comments and brackets to the first word; without ways back, so that no statement takes long.
_FIRST_WORD: Final = re.compile(r"(?>\s+|--[^\n]*+|/\*(?>[^*]+|\*(?!/))*+\*/|\()*+([A-Za-z]+)")


def operation(statement: str) -> str:
    """What a statement does: its first word, from a closed set."""
    found = _FIRST_WORD.match(statement[:_READ])
    return _OPERATIONS.get(found[1].upper(), "other") if found else "other"


def error_class(error: BaseException) -> str:
    """A failure as one of `ERRORS`."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str) and state[:2] in _SQLSTATES:
        return "timeout" if state == "57014" and "timeout" in str(error) else _SQLSTATES[state[:2]]
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS), "other")


class Queries:
    """Counts the queries of one pool or engine."""

    def __init__(self, metrics: MetricsClient, pool: str) -> None:
        self._metrics = metrics
        self._pool = pool
        # Both keys come from closed sets.
        self._durations: dict[str, Histogram] = {}
        self._errors: dict[str, Counter] = {}

    def done(self, statement: str, seconds: float) -> None:
        kind = operation(statement)
        duration = self._durations.get(kind)
        if duration is None:
            labels = {"pool": self._pool, "operation": kind}
            duration = self._durations[kind] = self._metrics.histogram("db_query_duration_seconds", labels)
        duration.observe(seconds)

    def failed(self, error: BaseException) -> None:
        self.failures(error_class(error), 1)

    def failures(self, kind: str, amount: float) -> None:
        counter = self._errors.get(kind)
        if counter is None:
            labels = {"pool": self._pool, "type": kind}
            counter = self._errors[kind] = self._metrics.counter("db_errors_total", labels)
        counter.add(amount)
