"""Request metrics: three cells a request, found by one look-up and changed under one lock."""

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from ..http import METHODS, OTHER_METHOD
from . import catalogue
from .cells import Cell, Store

if TYPE_CHECKING:
    from ..monitoring_middleware import Exchange

#: The endpoint of requests that no route matched.
UNMATCHED: Final = "_unmatched"

_Key = tuple[str, str, int, str]


class RequestMetrics:
    """Counts the requests of one app; `job` keeps two apps of one process apart."""

    def __init__(self, store: Store, job: str, *, enabled: bool = True) -> None:
        own = catalogue.own()
        self._store = store
        self._job = job
        self._enabled = enabled
        self._total = own.metric("http_request_total", "counter")
        self._duration = own.metric("http_request_duration_seconds", "histogram")
        self._bounds = self._duration.buckets
        self._in_flight = store.cell(job, own.metric("http_requests_in_flight", "gauge"), ())
        self._cells: dict[_Key, tuple[Cell, Cell]] = {}

    def enter(self) -> None:
        if self._enabled:
            with self._store.lock:
                self._in_flight[0] += 1

    def record(self, exchange: "Exchange") -> None:
        """Count a finished response."""
        if not self._enabled:
            return
        seconds = exchange.ended - exchange.started
        key = (exchange.scope["method"], exchange.template, exchange.status, exchange.outcome)
        cells = self._cells.get(key)
        if cells is None:
            cells = self._find(key)
        total, duration = cells
        bucket = bisect_left(self._bounds, seconds)
        with self._store.lock:
            self._in_flight[0] -= 1
            total[0] += 1
            duration[bucket] += 1
            duration[-1] += seconds

    def _find(self, key: _Key) -> tuple[Cell, Cell]:
        method, template, status, outcome = key
        method = method if method in METHODS else OTHER_METHOD
        endpoint = template or UNMATCHED
        labels = {"endpoint": endpoint, "method": method}
        total = {**labels, "outcome": outcome, "status_code": str(status)}
        cells = (
            self._store.cell(self._job, self._total, self._total.values(total)),
            self._store.cell(self._job, self._duration, self._duration.values(labels)),
        )
        # A made-up method finds its shared cells anew each time: this table must not grow with what clients invent.
        if method != OTHER_METHOD:
            self._cells[key] = cells
        return cells
