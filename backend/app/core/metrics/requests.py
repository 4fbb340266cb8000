"""Request metrics: the cells of a request are found once for all requests of its kind.

A finished request is only noted, since one by one they would each bring their cells back into the processor's cache:
a few dozen are counted together, or those that there are before anything is read (`make bench`: what metrics add).
"""

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from ..http import METHODS, OTHER_METHOD
from . import catalogue
from .cells import Cell, Exemplar, Series, Store
from .instruments import MetricsClient
from .tally import Tally

if TYPE_CHECKING:
    from ..exchange import Exchange
    from ..websocket import Connection

#: The endpoint of requests that no route matched.
UNMATCHED: Final = "_unmatched"
#: Requests noted before they are counted, which then takes some tens of microseconds.
_NOTED: Final = 64


class RequestCells(NamedTuple):
    """Where the requests of one method, route, status and outcome are counted."""

    total: Cell
    duration: Cell
    duration_series: Series
    first_byte: Cell
    response_size: Cell
    request_size: Cell


#: One finished response: its cells, seconds to its end and to its first byte (negative: there was none), bytes of the
#: response and of the request. Making a named tuple would cost as much as all the rest.
Note = tuple[RequestCells, float, float, int, int]


class RequestMetrics:
    """Counts the requests of one service; `job` keeps two services of one process apart."""

    def __init__(self, store: Store, job: str, *, enabled: bool = True) -> None:
        own = catalogue.own()
        self._store = store
        self.job = job
        self.enabled = enabled
        self._total = own.metric("http_request_total", "counter")
        self._duration = own.metric("http_request_duration_seconds", "histogram")
        self._first_byte = own.metric("http_time_to_first_byte_seconds", "histogram")
        self._response_size = own.metric("http_response_size_bytes", "histogram")
        self._request_size = own.metric("http_request_size_bytes", "histogram")
        self._seconds = self._duration.buckets
        self._sizes = self._response_size.buckets
        # Where a histogram's cell keeps the sum; an index from the end costs twice as much.
        self._seconds_sum = len(self._seconds) + 1
        self._sizes_sum = len(self._sizes) + 1
        assert self._first_byte.buckets == self._seconds
        assert self._request_size.buckets == self._sizes
        self._in_flight = store.cell(job, own.metric("http_requests_in_flight", "gauge"), ())
        self._noted: deque[Note] = deque()
        self._entered = Tally()
        self._left = Tally()
        self._finished = self._told = 0
        #: A request has begun; and one that is not told has ended.
        self.enter = self._entered.add
        self.leave = self._left.add
        self._client = MetricsClient(store, job=job, trusted=True)
        if enabled:
            store.late.append(self)

    @classmethod
    def of(cls, store: Store, job: str, *, enabled: bool = True) -> "RequestMetrics":
        """Those of a service, one for all its apps: the store keeps them, and apps come and go, in tests many."""
        with store.lock:
            kept = (one for one in store.late if isinstance(one, cls) and one.job == job)
            return (next(kept, None) if enabled else None) or cls(store, job, enabled=enabled)

    def cells(self, method: str, template: str, status: int, outcome: str) -> RequestCells:
        """The cells of one kind of request, made at its first use."""
        endpoint = {"endpoint": template or UNMATCHED}
        route = {**endpoint, "method": method if method in METHODS else OTHER_METHOD}
        total = {**route, "outcome": outcome, "status_code": str(status)}
        duration = self._store.find(self.job, self._duration, self._duration.values(route))
        return RequestCells(
            self._store.cell(self.job, self._total, self._total.values(total)),
            duration.cell,
            duration,
            self._store.cell(self.job, self._first_byte, self._first_byte.values(endpoint)),
            self._store.cell(self.job, self._response_size, self._response_size.values(endpoint)),
            self._store.cell(self.job, self._request_size, self._request_size.values(endpoint)),
        )

    @property
    def in_flight(self) -> float:
        self._store.count_late()
        return self._in_flight[0]

    def record(self, exchange: "Exchange", cells: RequestCells) -> None:
        """A response is finished."""
        started = exchange.started
        noted = self._noted
        noted.append(
            (
                cells,
                exchange.ended - started,
                exchange.first_byte - started,
                exchange.response_bytes,
                exchange.request_bytes,
            )
        )
        if len(noted) >= _NOTED:
            with self._store.lock:
                self.count()

    def count(self) -> None:
        noted, seconds_bounds, size_bounds = self._noted, self._seconds, self._sizes
        seconds_sum, sizes_sum = self._seconds_sum, self._sizes_sum
        for _ in range(len(noted)):
            try:
                cells, seconds, waited, size, uploaded = noted.popleft()
            except IndexError:  # the collector has run meanwhile, and a callback of its has read the store
                break
            total, duration, _series, first_byte, response_size, request_size = cells
            self._finished += 1
            total[0] += 1.0
            duration[bisect_left(seconds_bounds, seconds)] += 1.0
            duration[seconds_sum] += seconds
            if waited >= 0.0:  # a response began
                first_byte[bisect_left(seconds_bounds, waited)] += 1.0
                first_byte[seconds_sum] += waited
                response_size[bisect_left(size_bounds, size)] += 1.0
                response_size[sizes_sum] += size
            if uploaded:
                request_size[bisect_left(size_bounds, uploaded)] += 1.0
                request_size[sizes_sum] += uploaded
        under_way = self._entered.total() - self._left.total() - self._finished
        self._in_flight[0] += under_way - self._told
        self._told = under_way

    def forget(self) -> None:
        self._entered, self._left, self._finished, self._told = Tally(), Tally(), 0, 0
        self.enter, self.leave = self._entered.add, self._left.add

    def background(self, exchange: "Exchange") -> None:
        """Observe the work that went on after the response."""
        labels = {"endpoint": exchange.template or UNMATCHED}
        self._client.histogram("http_background_duration_seconds", labels).observe(exchange.background)

    def exemplify(self, exchange: "Exchange", cells: RequestCells, time_ns: int) -> None:
        """Let the histogram of durations lead to the trace of this request."""
        trace_id, span_id, _ = exchange.ids
        cells.duration_series.exemplar = Exemplar(exchange.ended - exchange.started, trace_id, span_id, time_ns)

    def invalid(self, exchange: "Exchange") -> None:
        """Count a request that was refused because it had not the declared shape."""
        self._client.counter("validation_failures_total", {"endpoint": exchange.template or UNMATCHED}).add()

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
