"""Log conditions: entries as they arrive, the labels taken out of them, how often people are told."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ..clock import NANOS
from ..logging.extract import text_extractor
from ..logging.query import Query, compile_query
from ..logging.record import Record
from ..logging.syntax import FilterError
from .messages import Raw
from .observed import EvaluationError, Observed

# Ours: what waits for an evaluation; older entries give way, and are counted.
_MOST_WAITING = 100_000
# "The daily total of notifications would exceed the limit of 20 notifications a day for each log-based alerting policy"
# (cloud.google.com/logging/docs/alerting/log-based-incidents).
MOST_A_DAY = 20
DAY = 86_400 * NANOS

Extract = Callable[[Record], str]


class LogFeed:
    """Entries that Logging accepted and no evaluation has seen yet."""

    def __init__(self) -> None:
        self.lost = 0
        self._lock = threading.Lock()
        self._waiting: deque[Record] = deque()

    def put(self, records: Iterable[Record]) -> None:
        with self._lock:
            self._waiting.extend(records)
            while len(self._waiting) > _MOST_WAITING:
                self._waiting.popleft()
                self.lost += 1

    def take(self) -> list[Record]:
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
            return taken


class LogCondition(NamedTuple):
    query: Query
    extractors: Mapping[str, Extract]

    def observed(self, records: Iterable[Record]) -> list[Observed]:
        """One for each combination of extracted labels, as its newest entry has it."""
        found: dict[frozenset[tuple[str, str]], Observed] = {}
        for record in records:
            if self.query.matches(record):
                one = _observed(record, {key: extract(record) for key, extract in self.extractors.items()})
                found[one.label_set] = one
        return list(found.values())


def compiled(body: Raw) -> LogCondition:
    """A conditionMatchedLog, ready to be asked.

    Raises:
        EvaluationError: The filter or an extractor cannot be read.
    """
    try:
        query = compile_query(body.filter)
    except FilterError as error:
        raise EvaluationError(f"the filter cannot be read: {error}") from error
    return LogCondition(query, {key: extractor(text, key) for key, text in sorted(body.label_extractors.items())})


def extractor(text: str, label: str) -> Extract:
    """`EXTRACT(field)` or `REGEXP_EXTRACT(field, "pattern with one group")`; what finds nothing makes the empty text.

    Raises:
        EvaluationError: It is neither of the two.
    """
    try:
        found = text_extractor(text)
    except ValueError as error:
        raise EvaluationError(f"the extractor of {label}, {text}, cannot be read: {error}") from error
    return lambda record: found(record) or ""


def _observed(record: Record, extracted: dict[str, str]) -> Observed:
    resource = record.entry.resource
    return Observed(
        labels=extracted,
        value=1.0,
        violates=True,
        metric_type="",
        resource_type=resource.type or "global",
        resource_labels=dict(resource.labels),
        metric_labels={},
        extracted=extracted,
    )
