"""The one background thread of a process: it learns where it runs, exports metrics, and flushes at the end.

It starts in the worker, at the ASGI lifespan or at the first request, never at import and never before a fork.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from . import guard, runtime
from .clock import Clock, SystemClock
from .farewell import farewell
from .metrics.cells import Store, counted, process_store
from .metrics.instruments import MetricsClient
from .metrics.own import Costs, Follower
from .metrics.pace import Pace
from .metrics.sources.refresh import refreshers
from .runtime import Runtime
from .termination import on_sigterm

if TYPE_CHECKING:
    from .metrics.exporting import ExportLoop
    from .metrics.slot import Slot
    from .settings import Settings

# The API's own gap between two points of a series; the regular interval keeps a wider one (METRICS_EXPORT_INTERVAL).
FINAL_GAP_SECONDS: Final = 5.0
# Cloud Run kills 10 s after SIGTERM; the last try begins 8.5 s after it.
STOP_SECONDS: Final = 9.7

_workers: "weakref.WeakSet[Worker]" = weakref.WeakSet()


class Worker:
    """Telemetry of one process, shared by all instrumented apps in it.

    Args:
        store: The cells to export.
        clock: Wall time and deadlines.
        interval: Seconds between exports; None takes METRICS_EXPORT_INTERVAL.
        gap: Least seconds between two points of a series; None takes `FINAL_GAP_SECONDS`.
    """

    def __init__(
        self,
        store: Store | None = None,
        clock: Clock | None = None,
        *,
        interval: float | None = None,
        gap: float | None = None,
    ) -> None:
        self.store = store or process_store
        self.clock = clock or SystemClock()
        self._interval = interval
        self._gap = FINAL_GAP_SECONDS if gap is None else gap
        self._lock = threading.Lock()
        self._users = 0
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._pace: Pace | None = None
        self._loop: ExportLoop | None = None
        self._listeners: list[Callable[[Runtime], None]] = []
        self._before_export: list[Callable[[], None]] = []
        self._undo_sigterm: Callable[[], None] = lambda: None
        self._killed_from: float | None = None
        self._told_by_siblings = 0.0
        self._told_after_fork = False
        self._slot: Slot | None = None
        self._slot_pid = 0
        self._found: Runtime | None = None
        #: Set once it is known where this process runs.
        self.located = threading.Event()
        self._priced: list[tuple[str, Callable[[], float]]] = []
        errors = MetricsClient(self.store).counter("cloudops_internal_errors_total")
        self.before_export(Follower(errors, lambda: float(guard.failures.total())))
        self.before_export(refreshers(self.store))
        _workers.add(self)

    def start(self, settings: "Settings", located: Callable[[Runtime], None]) -> None:
        """Begin, or join in: the first app's settings decide where metrics go."""
        with self._lock:
            self._users += 1
            self._listeners.append(located)
            if self.forked:
                self._tell_after_fork()
                return
            if self._thread is not None:
                return
            self._pid = os.getpid()
            self._pace = Pace(self.clock, self._interval or settings.metrics_export_interval)
            self._killed_from = None
            self._undo_sigterm = on_sigterm(self.about_to_stop, after_drain=True)
            self._thread = threading.Thread(target=self._run, args=(settings,), name="fastapi-cloudops", daemon=True)
            self._thread.start()
            atexit.register(self.stop_now)

    def claim(self, service: str) -> "Slot":
        """This process's slot, claimed at the first call."""
        if self._slot is None or self._slot_pid != os.getpid():
            from .metrics.slot import claim  # noqa: PLC0415  # not at import: it belongs to the worker, not to its parent

            self._slot, self._slot_pid = claim(service), os.getpid()
        return self._slot

    @property
    def label(self) -> str:
        """The slot's label, for log entries; empty before it is claimed."""
        return self._slot.label if self._slot is not None and self._slot_pid == os.getpid() else ""

    def wait_located(self, seconds: float) -> bool:
        """Wait until it is known where this process runs; False when it is not by then."""
        return self.located.wait(seconds)

    def before_export(self, function: Callable[[], None]) -> None:
        """Call a function before each collection, to bring gauges up to date."""
        self._before_export.append(function)

    def price(self, signal: str, total: Callable[[], float]) -> None:
        """With ENABLE_COST_TRACKING, tell what a signal costs an hour.

        Args:
            signal: `logs` or `traces`; metrics are counted here.
            total: Bytes of log lines, or spans, so far.
        """
        self._priced.append((signal, total))

    def nudge(self) -> None:
        """To be called at the end of each request: exports if it is time, and costs next to nothing if it is not.

        Where the platform gives CPU only during requests, no timer would do it.
        """
        pace = self._pace
        if pace is not None:
            pace.nudge()

    def flush(self, timeout: float = 10.0) -> bool:
        """Export now, or as soon as the API takes another point; True when all was accepted within `timeout` seconds.

        Blocks. In a child that was forked from an exporting process it returns False at once.
        """
        if self.forked:
            self._tell_after_fork()
        pace = self._pace
        if pace is None:
            return False
        began = self.clock.monotonic()
        self.located.wait(timeout)
        if self._loop is None:
            return False
        return self._loop.flush(pace, timeout - (self.clock.monotonic() - began))

    @property
    def forked(self) -> bool:
        """Whether this is a child of a process that exported: gRPC does not survive that (spawned workers do)."""
        return self._pid not in {0, os.getpid()}

    def killed_from(self, moment: float) -> None:
        """The platform's ten seconds began at a moment of `time.monotonic`, however long readiness drains first."""
        self._killed_from = moment

    def about_to_stop(self) -> None:
        """SIGTERM has come: begin the final write, while the last requests are still served."""
        if self._pace is not None:
            self._pace.stop(over=False, since=self._killed_from)

    def stop(self) -> None:
        """One app has ended; with the last one, flush and end the thread. Blocks for at most `STOP_SECONDS`."""
        with self._lock:
            self._users = max(0, self._users - 1)
            if self._users:
                return
        self.stop_now()

    def stop_now(self) -> None:
        """Flush and end the thread, whoever still uses it."""
        with self._lock:
            thread, self._thread = self._thread, None
            pace, self._pace = self._pace, None
            self._users = 0
        atexit.unregister(self.stop_now)
        if self.forked:
            self._tell_after_fork()
            return
        if thread is None or pace is None:
            return
        self._undo_sigterm()
        pace.stop(over=True)
        began = pace.stopped if pace.stopped is not None else self.clock.monotonic()
        thread.join(max(1.0, began + STOP_SECONDS - self.clock.monotonic()))
        if thread.is_alive():
            farewell.lost("metrics", "the final write did not end in time")

    def _run(self, settings: "Settings") -> None:
        pace = self._pace
        try:
            if not settings.enable_metrics or settings.metrics_backend == "none" or pace is None:
                self._locate(settings)
                return
            if self._loop is None:
                from .metrics.exporting import ExportLoop  # noqa: PLC0415  # loaded in this thread, not at import

                self._loop = ExportLoop(
                    self.store,
                    self.clock,
                    settings,
                    refresh=self._refresh,
                    locate=lambda: self._locate(settings),
                    claim=self.claim,
                    gap=self._gap,
                )
                self._tell_before_fork(self._loop)
                if settings.enable_cost_tracking:
                    self._follow_costs(self._loop, settings)
            self.located.set()
            self._loop.run(pace)
        except Exception as error:  # noqa: BLE001  # the thread's end must not pass unnoticed, nor touch the service
            guard.caught("export", error)
        finally:
            self.located.set()
            if self._loop is not None:
                with suppress(Exception):
                    self._loop.close()

    def _locate(self, settings: "Settings") -> Runtime:
        found = runtime.from_environment(settings.google_cloud_project, bool(settings.cloudops_emulator_host))
        found = runtime.ask_metadata_server(found)
        self._found = found
        for listener in self._listeners:
            listener(found)
        return found

    def _refresh(self) -> None:
        for function in self._before_export:
            try:
                function()
            except Exception as error:  # noqa: BLE001  # one gauge must not hold up the others
                guard.caught("gauge", error)

    def _follow_costs(self, loop: "ExportLoop", settings: "Settings") -> None:
        self.price("metrics", lambda: loop.figures.samples)
        costs = Costs(MetricsClient(self.store), settings.cost_prices, self._priced)
        self.before_export(lambda: costs.refresh(self.clock.monotonic()))

    def _tell_before_fork(self, loop: "ExportLoop") -> None:
        """Counts that a preloading parent made: each of its children has them, so none can export them."""
        dropped = self.store.dropped_before_fork - self._told_by_siblings
        if dropped > 0:
            loop.figures.dropped("before_fork", dropped)
            loop.teller.tell(
                "what was counted before the fork is not exported; count in the workers",
                reason="before_fork",
                dropped=dropped,
            )

    def _tell_after_fork(self) -> None:
        """A child of an exporting process: say once, as late as can be, that what it counts goes nowhere."""
        dropped = sum(counted(series.metric, series.cell) for series in self.store.series)
        if self._told_after_fork or not dropped:
            return
        self._told_after_fork = True
        guard.warn(
            "fastapi-cloudops: forked after telemetry started; this process exports no metrics "
            "(start workers with `spawn`, or start telemetry in each of them)",
            reason="after_fork",
            dropped=dropped,
        )

    def in_parent_after_fork(self) -> None:
        """The child just made tells what was counted so far; the next one need not tell it again."""
        if self._pid == 0:
            self._told_by_siblings = sum(counted(series.metric, series.cell) for series in self.store.series)

    def in_child_after_fork(self) -> None:
        """Whoever held a lock, and whoever would wake up, does not exist in the child."""
        self._lock = threading.Lock()
        self._thread = None
        self._pace = None
        self._undo_sigterm = lambda: None
        self.located = threading.Event()
        if self._found is not None:  # entries of the child do not say that its parent wrote them
            for listener in self._listeners:
                listener(self._found)
        if self._pid != 0:
            self.located.set()
            _never_freed.append(self._loop)
            self._loop = None
            atexit.unregister(self.stop_now)
            atexit.register(self._tell_after_fork)


#: Connections of the parent, in a child: closing them would wait for threads that only the parent has.
_never_freed: list[object] = []

#: What `instrument` uses unless it is given another.
process_worker = Worker()


def _in_parent() -> None:
    for worker in list(_workers):
        worker.in_parent_after_fork()


def _in_child() -> None:
    for worker in list(_workers):
        worker.in_child_after_fork()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_parent=_in_parent, after_in_child=_in_child)
