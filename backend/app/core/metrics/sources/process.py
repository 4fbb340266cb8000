"""What this process is and uses: memory, processor, event loop, threads, files, garbage collection, age, identity.

No thread and no task of its own: figures are read before each export, the loop's lag by a timer of the loop, which
keeps no loop from ending.
"""

import asyncio
import gc
import os
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from ... import guard
from ..instruments import MetricsClient
from . import linux
from .refresh import forget, kept, refreshers
from .source import client_of, store_of

# How often the loop is asked; twice a second costs some tens of microseconds.
_LAG_SECONDS: Final = 0.5
# A timer that is later than this while nothing is being served was frozen: Cloud Run takes the processor away.
_FROZEN_SECONDS: Final = 1.0
_KEY: Final = "process"


class ProcessSource:
    """The process that is observed; see `system_metrics`."""

    def __init__(
        self, metrics: MetricsClient, serving: Callable[[], float], environ: Mapping[str, str], files: linux.Files
    ) -> None:
        self._metrics = metrics
        self._store = store_of(metrics)
        self._refreshers = refreshers(self._store)
        self._serving = serving
        self._files = files
        self._cpu = 0.0
        self._collections = Collections()
        self._lag = LoopLag(metrics, serving)
        self._limiter: Any = None
        self._ready = False
        self._pid = os.getpid()
        self._concurrency = _number(environ.get("CONTAINER_CONCURRENCY", ""))
        self._refreshers.add(self.refresh)
        gc.callbacks.append(self._collections)
        weakref.finalize(self._store, _take_off, self._collections)  # a store that ends leaves no callback behind
        metrics.counter("cold_starts_total").add()

    def watch_loop(self) -> None:
        """Watch the event loop that runs now, if one does; called again, it follows to another loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        try:
            self._lag.watch(loop)
            self._limiter = _thread_limiter()
        except Exception as error:  # noqa: BLE001  # what it watches must not fail for it
            guard.caught("event loop", error)

    def ready(self) -> None:
        """The process serves from now on; only the first time counts."""
        if not self._ready:
            self._ready = True
            self._metrics.gauge("cold_start_duration_seconds").set(self._files.age())

    def close(self) -> None:
        """Stop watching; a second time does nothing."""
        forget(self._store, _KEY, self)
        self._refreshers.discard(self.refresh)
        self._lag.stop()
        _take_off(self._collections)

    def refresh(self) -> None:
        if os.getpid() != self._pid:  # a forked child begins anew
            self._pid, self._cpu = os.getpid(), 0.0
        self._show("instance_age_seconds", self._files.age())
        self._show("http_concurrency_limit", self._concurrency)
        for name, value in self._files.gauges().items():
            self._show(name, value)
        spent = sum(os.times()[:2])
        self._metrics.counter("process_cpu_seconds_total").add(max(0.0, spent - self._cpu))
        self._cpu = spent
        self._threads()
        self._collections.tell(self._metrics)

    def _threads(self) -> None:
        if self._limiter is not None:
            busy, limit = self._limiter.borrowed_tokens, self._limiter.total_tokens
            self._metrics.gauge("thread_pool_threads", {"state": "busy"}).set(busy)
            self._metrics.gauge("thread_pool_threads", {"state": "limit"}).set(limit)

    def _show(self, name: str, value: float | None) -> None:
        if value is not None:
            self._metrics.gauge(name).set(value)


class Collections:
    """Times garbage collections, which may begin anywhere: between two lines of ours that count something, too.

    So the callback takes no lock and makes no series; it adds to numbers that only it changes.
    """

    def __init__(self) -> None:
        self._pauses: list[list[float]] = [[], [], []]
        self._started = 0.0

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._started = time.perf_counter()
        elif len(self._pauses[info["generation"]]) < _PAUSES:
            self._pauses[info["generation"]].append(time.perf_counter() - self._started)

    def tell(self, metrics: MetricsClient) -> None:
        """Observe what was collected since the last time."""
        for generation in range(len(self._pauses)):
            pauses, self._pauses[generation] = self._pauses[generation], []
            if pauses:
                histogram = metrics.histogram("gc_pause_seconds", {"generation": str(generation)})
                for seconds in pauses:
                    histogram.observe(seconds)


# Between two exports; where there are more, the rest of the interval goes untold rather than growing.
_PAUSES: Final = 10_000


class LoopLag:
    """How late a loop runs what is due, measured by a timer of the loop itself."""

    def __init__(self, metrics: MetricsClient, serving: Callable[[], float]) -> None:
        self._histogram = metrics.histogram("event_loop_lag_seconds")
        self._serving = serving
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            self.stop()
            self._loop = loop
            self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop = self._timer = None

    def _arm(self) -> None:
        assert self._loop is not None
        self._busy = self._serving() > 0
        # A timer does not keep a loop alive: one that stops or closes forgets it.
        self._timer = self._loop.call_later(_LAG_SECONDS, self._due, self._loop.time() + _LAG_SECONDS)

    def _due(self, due: float) -> None:
        if self._loop is None:
            return
        try:
            late = max(0.0, self._loop.time() - due)
            if late < _FROZEN_SECONDS or self._busy or self._serving() > 0:
                self._histogram.observe(late)
            self._arm()
        except Exception as error:  # noqa: BLE001  # a loop's timer must not fail the loop
            guard.caught("event loop", error)


def system_metrics(
    metrics: MetricsClient | None = None,
    *,
    serving: Callable[[], float] = lambda: 0.0,
    environ: Mapping[str, str] = os.environ,
    files: linux.Files | None = None,
) -> ProcessSource:
    """Fill the metrics of this process; called again for the same store, nothing changes.

    Args:
        metrics: Where to count; this process's metrics when None.
        serving: Tells how many requests are being served, so that a frozen process is not taken for a slow loop.
        environ: The environment: CONTAINER_CONCURRENCY is the platform's limit of requests at a time.
        files: Where Linux tells about the process and its container.
    """
    client = client_of(metrics)
    store = store_of(client)
    return kept(store, _KEY, lambda: ProcessSource(client, serving, environ, files or linux.Files()))


def service_info(metrics: MetricsClient, version: str, commit: str, revision: str) -> None:
    """Set `service_info` to 1: it carries what is deployed, for joins."""
    labels = {"version": version, "commit": commit, "revision": revision}
    metrics.gauge("service_info", labels).set(1)


def _take_off(collections: Collections) -> None:
    with suppress(ValueError):
        gc.callbacks.remove(collections)


def _thread_limiter() -> Any:
    from anyio.to_thread import current_default_thread_limiter  # noqa: PLC0415  # only where a loop runs

    return current_default_thread_limiter()


def _number(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
