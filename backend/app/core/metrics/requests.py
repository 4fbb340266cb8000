"""Request metrics: three cells a request, found by one look-up and changed under one lock."""

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from ..http import METHODS, OTHER_METHOD
from . import catalogue
from .cells import Cell, Store
from .instruments import MetricsClient

if TYPE_CHECKING:
    from ..exchange import Exchange
    from ..websocket import Connection

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
        self._client = MetricsClient(store, job=job)
        self._cells: dict[_Key, tuple[Cell, Cell]] = {}

    def enter(self) -> None:
        if self._enabled:
            with self._store.lock:
                self._in_flight[0] += 1

    def leave(self) -> None:
        """A request that is not told has ended."""
        if self._enabled:
            with self._store.lock:
                self._in_flight[0] -= 1

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

    def background(self, exchange: "Exchange") -> None:
        """Observe the work that went on after the response."""
        labels = {"endpoint": exchange.template or UNMATCHED}
        self._client.histogram("http_background_duration_seconds", labels).observe(exchange.background)

    def connected(self, connection: "Connection") -> None:
        self._client.gauge("websocket_connections", {"endpoint": connection.template or UNMATCHED}).add(1)

    def disconnected(self, connection: "Connection") -> None:
        """Count a websocket connection that ended; one that was never accepted has no duration."""
        endpoint = connection.template or UNMATCHED
        labels = {"endpoint": endpoint, "code": _close_code(connection.code)}
        self._client.counter("websocket_closed_total", labels).add()
        if connection.accepted:
            self._client.gauge("websocket_connections", {"endpoint": endpoint}).add(-1)
            lasted = connection.ended - connection.started
            self._client.histogram("websocket_duration_seconds", {"endpoint": endpoint}).observe(lasted)


def _close_code(code: int) -> str:
    """The codes that RFC 6455 names are told; what applications and clients choose is a class."""
    if 1000 <= code <= 1015:  # noqa: PLR2004  # section 7.4.1 and the registry it opened
        return str(code)
    return "3xxx" if 3000 <= code < 4000 else "4xxx" if 4000 <= code < 5000 else "other"  # noqa: PLR2004  # section 7.4.2
