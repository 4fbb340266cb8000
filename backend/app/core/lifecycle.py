"""The one background thread of a process: it learns where it runs, exports metrics, and flushes at the end.

It starts in the worker, at the ASGI lifespan or at the first request, never at import and never before a fork.
"""

import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from . import guard, runtime
from .clock import Clock, SystemClock
from .metrics.cells import Store, process_store
from .metrics.instruments import MetricsClient
from .metrics.own import Follower
from .runtime import Runtime

if TYPE_CHECKING:
    from .metrics.export import Exporter, Report
    from .metrics.transport import Write
    from .settings import Settings

# The API's own gap between two points of a series; the regular interval keeps a wider one (METRICS_EXPORT_INTERVAL).
FINAL_GAP_SECONDS: Final = 5.0
# Cloud Run kills 10 s after SIGTERM.
STOP_SECONDS: Final = 8.5
_WARN_EVERY_SECONDS: Final = 60.0


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
        self._wake = threading.Event()
        self._stopping = False
        self._exporter: Exporter | None = None
        self._close: Callable[[], None] = lambda: None
        self._told: dict[str, float] = {}
        self._listeners: list[Callable[[Runtime], None]] = []
        self._before_export: list[Callable[[], None]] = []
        #: Set once it is known where this process runs.
        self.located = threading.Event()
        errors = MetricsClient(self.store).counter("cloudops_internal_errors_total")
        self.before_export(Follower(errors, lambda: float(guard.failures.total())))

    def start(self, settings: "Settings", located: Callable[[Runtime], None]) -> None:
        """Begin, or join in: the first app's settings decide where metrics go."""
        with self._lock:
            self._users += 1
            self._listeners.append(located)
            if self._pid not in {0, os.getpid()}:
                # gRPC does not survive a fork beside a live thread; spawned workers are the way out.
                self._tell("fork", "fastapi-cloudops: forked after telemetry started; this process exports no metrics")
                return
            if self._thread is not None:
                return
            self._pid = os.getpid()
            self._stopping = False
            self._wake.clear()
            self._thread = threading.Thread(target=self._run, args=(settings,), name="fastapi-cloudops", daemon=True)
            self._thread.start()
            atexit.register(self.stop_now)

    def before_export(self, function: Callable[[], None]) -> None:
        """Call a function before each collection, to bring gauges up to date."""
        self._before_export.append(function)

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
            self._users = 0
        atexit.unregister(self.stop_now)
        if thread is None or self._pid != os.getpid():
            return  # never started, or a forked child: the thread lives in the parent, which exports for itself
        self._stopping = True
        self._wake.set()
        thread.join(STOP_SECONDS)
        if thread.is_alive():
            self._lost("the final write did not end in time")

    def _run(self, settings: "Settings") -> None:
        try:
            found = runtime.from_environment(settings.google_cloud_project, bool(settings.cloudops_emulator_host))
            found = runtime.ask_metadata_server(found)
            for listener in self._listeners:
                listener(found)
            self.located.set()
            if settings.enable_metrics:
                self._export_until_stopped(settings, found)
        except Exception as error:  # noqa: BLE001  # the thread's end must not pass unnoticed, nor touch the service
            guard.caught("export", error)
        finally:
            self.located.set()
            with suppress(Exception):
                self._close()

    def _export_until_stopped(self, settings: "Settings", found: Runtime) -> None:
        from .metrics.export import Exporter  # noqa: PLC0415  # loaded in this thread, not at import
        from .metrics.slot import claim  # noqa: PLC0415  # as above
        from .metrics.target import Target  # noqa: PLC0415  # as above

        interval = self._interval or settings.metrics_export_interval
        if self._exporter is None:
            slot = claim(settings.service)
            target = Target(
                project=found.project,
                location=found.location,
                cluster=found.cluster,
                environment=settings.environment,
                service=settings.service,
                instance=f"{found.instance}-{slot.label}",
                domain=settings.metrics_domain,
                namespace=settings.metrics_namespace,
            )
            self._exporter = Exporter(self.store, target, slot, self.clock, gap=self._gap)
        # Connect early, but not while the service starts: what is wrong with credentials is told at once.
        write = None if self._wait(min(1.0, interval)) else self._connect(settings, found)
        while True:
            last = self._stopping or self._wait(max(interval, self._exporter.seconds_until_allowed()))
            if last and not self._exporter.pending():
                return
            self._refresh()
            write = write or self._connect(settings, found)
            if write is not None:
                if last:
                    self._wait_for_gap()
                self._account(self._exporter.export(write, timeout=2.0 if last else 10.0), settings)
            if last:
                pending = self._exporter.pending()
                if pending:
                    self._lost(f"{pending} series")
                return

    def _wait(self, seconds: float) -> bool:
        """Wait for the next export; True when the process is ending."""
        self._wake.wait(seconds)
        return self._stopping

    def _wait_for_gap(self) -> None:
        assert self._exporter is not None
        # The event that usually wakes this thread is set for good by now.
        threading.Event().wait(self._exporter.seconds_until_allowed())

    def _refresh(self) -> None:
        for function in self._before_export:
            try:
                function()
            except Exception as error:  # noqa: BLE001  # one gauge must not hold up the others
                guard.caught("gauge", error)

    def _connect(self, settings: "Settings", found: Runtime) -> "Write | None":
        if not found.project:
            self._unreachable("no project: set GOOGLE_CLOUD_PROJECT, or CLOUDOPS_EMULATOR_HOST for the emulator")
            return None
        try:
            from .metrics.transport import connect  # noqa: PLC0415  # slow to load, and only this thread needs it

            write, self._close = connect(settings.cloudops_emulator_host)
        except Exception as error:  # noqa: BLE001  # no credentials, or a broken installation: told, tried again
            self._unreachable(f"{type(error).__name__}: {error}".partition("\n")[0])
            return None
        return write

    def _unreachable(self, why: str) -> None:
        self._count("cloudops_export_failures_total", {"code": "UNAUTHENTICATED"})
        self._tell("connect", f"fastapi-cloudops: metrics are counted but not exported: {why}")

    def _account(self, report: "Report", settings: "Settings") -> None:
        for code, count in report.refused.items():
            self._count("cloudops_export_failures_total", {"code": code}, 1)
            if code not in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}:
                self._count("cloudops_dropped_total", {"signal": "metrics", "reason": "refused"}, count)
        if not report.ok:
            self._tell(
                "refused",
                "fastapi-cloudops: some metrics were not accepted; the next export carries their totals",
                refused=report.refused,
                answer=report.message,
            )
        if settings.enable_cost_tracking and report.samples:
            self._count("cloudops_samples_written_total", {}, report.samples)

    def _count(self, name: str, labels: dict[str, str], amount: float = 1.0) -> None:
        MetricsClient(self.store).counter(name, labels).add(amount)

    def _tell(self, topic: str, message: str, **fields: object) -> None:
        now = self.clock.monotonic()
        if now - self._told.get(topic, -_WARN_EVERY_SECONDS) >= _WARN_EVERY_SECONDS:
            self._told[topic] = now
            guard.warn(message, **fields)

    def _lost(self, what: str) -> None:
        guard.warn("fastapi-cloudops: telemetry was lost at the end of the process", signal="metrics", lost=what)

    def forget_locks(self) -> None:
        """After a fork: whoever held the lock does not exist in the child."""
        self._lock = threading.Lock()


#: What `instrument` uses unless it is given another.
process_worker = Worker()

if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=process_worker.forget_locks)
