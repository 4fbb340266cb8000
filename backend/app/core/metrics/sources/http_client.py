"""httpx clients, sync and async: responses by httpx's event hooks, failures by httpcore's `trace` extension."""

import asyncio
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from ...http import METHODS, OTHER_METHOD
from ..instruments import Counter, Histogram, MetricsClient
from .source import FirstNames, attach, client_of, detach, harmless, library, store_of

if TYPE_CHECKING:
    import httpx

_CALL: Final = "fastapi_cloudops.call"
_TRACE: Final = "trace"
ERRORS: Final = frozenset({"cancelled", "connect", "other", "protocol", "read", "timeout", "write"})
# The classes of httpcore, which httpx's are named after.
_KINDS: Final = {
    "ConnectError": "connect",
    "LocalProtocolError": "protocol",
    "ReadError": "read",
    "RemoteProtocolError": "protocol",
    "TimeoutException": "timeout",
    "WriteError": "write",
}


class _Call:
    """One request on its way; what httpcore calls at each step of it."""

    __slots__ = ("_source", "host", "inner", "method", "started")

    def __init__(self, source: "HTTPXSource", request: "httpx.Request", inner: Callable[..., Any] | None) -> None:
        self._source = source
        self.host = source.hosts(request.url.host)
        self.method = request.method if request.method in METHODS else OTHER_METHOD
        self.inner = inner
        self.started = perf_counter()

    def step(self, name: str, info: Any) -> None:
        if name.endswith(".failed"):
            harmless("httpx", self._source.failed, self, name, info["exception"])


class _SyncCall(_Call):
    __slots__ = ()

    def __call__(self, name: str, info: Any) -> None:
        self.step(name, info)
        if self.inner is not None:
            self.inner(name, info)


class _AsyncCall(_Call):
    __slots__ = ()

    async def __call__(self, name: str, info: Any) -> None:
        self.step(name, info)
        if self.inner is not None:
            await self.inner(name, info)


class HTTPXSource:
    """A client that is observed."""

    def __init__(self, client: "httpx.Client | httpx.AsyncClient", hosts: FirstNames, metrics: MetricsClient) -> None:
        self.hosts = hosts
        self._client = ref(client)
        self._metrics = metrics
        self._store = store_of(metrics)
        # Bounded: hosts by `FirstNames`, the others by their protocol.
        self._durations: dict[tuple[str, str, str], Histogram] = {}
        self._errors: dict[tuple[str, str], Counter] = {}
        is_async = isinstance(client, library("httpx", "httpx").AsyncClient)
        self._call = _AsyncCall if is_async else _SyncCall
        self._hooks = (
            ("request", self._sends_async if is_async else self._sends),
            ("response", self._answers_async if is_async else self._answers),
        )
        for name, hook in self._hooks:
            client.event_hooks[name].append(hook)

    def close(self) -> None:
        client = self._client()
        if client is not None and detach(client, self._store):
            for name, hook in self._hooks:
                if hook in client.event_hooks[name]:
                    client.event_hooks[name].remove(hook)

    def failed(self, call: _Call, step: str, error: BaseException) -> None:
        # Closing a response early is the application's right; and after a failed write httpcore still reads the answer.
        if isinstance(error, GeneratorExit) or (".send_request_" in step and _kind(error) == "write"):
            return
        key = (call.host, _kind(error))
        counter = self._errors.get(key)
        if counter is None:
            labels = {"host": call.host, "type": key[1]}
            counter = self._errors[key] = self._metrics.counter("http_client_errors_total", labels)
        counter.add()

    def _sends(self, request: "httpx.Request") -> None:
        harmless("httpx", self._begin, request)

    async def _sends_async(self, request: "httpx.Request") -> None:
        harmless("httpx", self._begin, request)

    def _answers(self, response: "httpx.Response") -> None:
        harmless("httpx", self._end, response)

    async def _answers_async(self, response: "httpx.Response") -> None:
        harmless("httpx", self._end, response)

    def _begin(self, request: "httpx.Request") -> None:
        inner = request.extensions.get(_TRACE)
        if isinstance(inner, _Call):  # a redirect: extensions follow it
            inner = inner.inner
        call = self._call(self, request, inner)
        request.extensions = {**request.extensions, _TRACE: call, _CALL: call}

    def _end(self, response: "httpx.Response") -> None:
        call = response.request.extensions.get(_CALL)
        if call is None:
            return
        seconds = perf_counter() - call.started
        key = (call.host, call.method, str(response.status_code))
        duration = self._durations.get(key)
        if duration is None:
            labels = dict(zip(("host", "method", "status_code"), key, strict=True))
            duration = self._durations[key] = self._metrics.histogram("http_client_request_duration_seconds", labels)
        duration.observe(seconds)


def observe_httpx(
    client: "httpx.Client | httpx.AsyncClient",
    hosts: Iterable[str] | None = None,
    metrics: MetricsClient | None = None,
) -> HTTPXSource:
    """Fill `http_client_request_duration_seconds` and `http_client_errors_total` from a client.

    Args:
        client: A client, sync or async. Called again on the same one, nothing changes.
        hosts: Host names that have series of their own; all others are `other`. None: the first 20 that are asked.
        metrics: Where to count; this process's metrics when None.

    Raises:
        ImportError: httpx is not installed.
    """
    library("httpx", "httpx")
    counting = client_of(metrics)
    return attach(client, store_of(counting), lambda: HTTPXSource(client, FirstNames(hosts), counting))


def _kind(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return next((_KINDS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _KINDS), "other")
