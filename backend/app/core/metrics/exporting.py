"""The exporter's loop: waits, connects, exports, backs off, and writes what is left when the process ends."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from time import thread_time
from typing import TYPE_CHECKING, Final

from .connection import Connection, connect, encoding
from .export import Exporter, Report
from .own import OWN, PROCESS, OwnFigures
from .refusals import Refused
from .slot import Slot, claim
from .target import Target
from .teller import Teller

if TYPE_CHECKING:
    from ..clock import Clock
    from ..runtime import Runtime
    from ..settings import Settings
    from .cells import Series, Store
    from .pace import Pace

_CALL_SECONDS: Final = 5.0
_LAST_CALL_SECONDS: Final = 2.0
_SECOND_LAST_CALL_SECONDS: Final = 1.0
# A call that took so much longer than it may was not slow: the platform had stopped us.
_FROZEN_SECONDS: Final = 5.0
_LONGEST_EXPORT: Final = 30.0
#: Seconds after SIGTERM at which what was refused is tried once more; Cloud Run kills after 10.
SECOND_TRY_SECONDS: Final = 8.5
_LOCATE_TRIES: Final = 3
_MOST_NAMES: Final = 10
_LOOK_AGAIN_SECONDS: Final = 0.5


class ExportLoop:
    """Drives one exporter in one thread.

    Args:
        store: The cells to export.
        clock: Wall time and deadlines.
        settings: Where to.
        refresh: Brings gauges up to date.
        locate: Asks where this process runs.
        gap: Least seconds between two points of a series.
        claim: Gives the slot of this process.
        connect: Opens the way to the back end.
    """

    def __init__(
        self,
        store: "Store",
        clock: "Clock",
        settings: "Settings",
        *,
        refresh: Callable[[], None],
        locate: "Callable[[], Runtime]",
        gap: float,
        claim: Callable[[str], Slot] = claim,
        connect: Callable[["Settings"], Connection] = connect,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._refresh = refresh
        self._locate = locate
        self._gap = gap
        self._claim = claim
        self._connect = connect
        self._connection: Connection | None = None
        self._exporter: Exporter | None = None
        self._found = locate()
        self._located = 1
        self._may_resend = False
        self._give_up = 0.0
        self._done = threading.Condition()
        self._busy = False
        self._complete = False
        self._early = False
        #: How many exports have ended.
        self.finished = 0
        self.figures = OwnFigures(store, clock, samples=settings.enable_cost_tracking)
        self.teller = Teller(clock)

    def run(self, pace: "Pace") -> None:
        """Export until the pace is stopped, then write what is left."""
        self._prepare()
        # Connect early, but not while the service starts: what is wrong with credentials is told at once.
        pace.rest(min(self._clock.monotonic() + 1.0, pace.due), unless=lambda: pace.stopped is not None)
        if pace.stopped is None:
            self._connected()
        while not pace.wait():
            self._turn(pace)
        self._finish(pace)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def flush(self, pace: "Pace", timeout: float) -> bool:
        """Called in another thread: whether an export that began after this call wrote all within `timeout` seconds."""
        until = self._clock.monotonic() + timeout
        with self._done:
            wanted = self.finished + (2 if self._busy else 1)
            while (self.finished < wanted or self._early) and (left := until - self._clock.monotonic()) > 0:
                pace.hurry(self.seconds_until_allowed())
                self._done.wait(min(left, _LOOK_AGAIN_SECONDS))
            return self.finished >= wanted and self._complete

    def seconds_until_allowed(self) -> float:
        return self._exporter.seconds_until_allowed() if self._exporter is not None else 0.0

    def _turn(self, pace: "Pace") -> None:
        if (left := self.seconds_until_allowed()) > 0:  # the first one, after the zero that series begin with
            pace.postpone(left)
            return
        report = self._export()
        if report is None:
            pace.back_off()
        elif report.aborted is not None and report.aborted.code == "RESOURCE_EXHAUSTED":
            pace.back_off(report.aborted.retry_after)
        else:
            asked = report.aborted.retry_after if report.aborted is not None else 0.0
            pace.next(least=max(self.seconds_until_allowed(), min(asked, 300.0)))

    def _prepare(self) -> None:
        """Make the exporter as soon as it is known who we are; the identity does not change after that."""
        if self._exporter is not None:
            return
        found = self._found
        if not found.project or not found.location or not found.instance:
            if self._located < _LOCATE_TRIES or not found.project:
                found = self._found = self._locate()
                self._located += 1
            if not found.project or (not found.location and self._located < _LOCATE_TRIES):
                return
        settings = self._settings
        slot = self._claim(settings.service)
        target = Target(
            project=found.project,
            # The API takes a region, a zone or this (Stackdriver/stackdriver-prometheus-sidecar#251).
            location=found.location or "global",
            cluster=found.cluster,
            environment=settings.environment,
            service=settings.service,
            # Without the platform's name for this instance, a name of our own: two must never share a series.
            instance=f"{found.instance or secrets.token_hex(8)}-{slot.label}",
            domain=settings.metrics_domain,
            namespace=settings.metrics_namespace,
        )
        self._exporter = Exporter(self._store, encoding(settings, target), slot, self._clock, gap=self._gap)

    def _finish(self, pace: "Pace") -> None:
        """The final write keeps the API's own gap; what is refused is tried once more before the platform kills us."""
        stopped = pace.stopped if pace.stopped is not None else self._clock.monotonic()
        second_try = stopped + SECOND_TRY_SECONDS
        told = False
        if (self._pending() or not pace.over) and self._connected():
            now = self._clock.monotonic()
            self._rest(pace, min(second_try, now + self.seconds_until_allowed()))
            report = self._export(timeout=_LAST_CALL_SECONDS, last=True)
            if report is not None and report.aborted is not None and self._found.platform == "other":
                # Nobody kills us here, and somebody waits for their prompt.
                second_try = min(second_try, self._clock.monotonic() + 1.0)
            told = report is not None and report.complete
            pace.rest(second_try, unless=lambda: pace.over and not self._pending(told=told))
            if self._pending(told=told):
                self._rest(pace, second_try)
                self._export(timeout=_SECOND_LAST_CALL_SECONDS, last=True, history=False)
        # Without a project there was nowhere to write to from the start, which was told then.
        if self._found.project and (lost := self._pending(told=told)):
            names = sorted({series.metric.name for series in lost})
            more = {"more": len(names) - _MOST_NAMES} if len(names) > _MOST_NAMES else {}
            self.teller.lost(f"{len(lost)} series", metrics=names[:_MOST_NAMES], **more)

    @staticmethod
    def _rest(pace: "Pace", until: float) -> None:
        pace.rest(until, unless=lambda: False)

    def _pending(self, *, told: bool = False) -> "list[Series]":
        """What has changed since it was written.

        Args:
            told: The final write is done: what the process itself does until it is gone is not written once more.
        """
        if self._exporter is not None:
            pending = self._exporter.pending()
        else:
            pending = [series for series, cell in self._store.peek() if any(cell)]
        return [
            series
            for series in pending
            if series.metric.name not in OWN and not (told and series.metric.recorded_by in PROCESS)
        ]

    def _export(self, *, timeout: float = _CALL_SECONDS, last: bool = False, history: bool = True) -> Report | None:
        """One export; None where there is no way to the back end."""
        self._busy = True
        report = None
        try:
            report = self._export_now(timeout, last=last, history=history)
            return report
        finally:
            with self._done:
                self._early = report is not None and report.early
                self._complete = report is not None and report.complete
                self._busy = False
                self.finished += 1
                self._done.notify_all()

    def _export_now(self, timeout: float, *, last: bool, history: bool) -> Report | None:
        began, cpu = self._clock.monotonic(), thread_time()
        self._refresh()
        if not self._connected() or self._exporter is None:
            return None
        self._may_resend, self._give_up = not last, began + _LONGEST_EXPORT
        report = self._exporter.export(self._write, timeout=timeout, last=last, history=history)
        if report.aborted is not None and report.aborted.code == "UNAUTHENTICATED":
            self.close()  # credentials are read again
        self.figures.exported(report, self._exporter.collected, self._clock.monotonic() - began, thread_time() - cpu)
        self._tell(report)
        return report

    def _write(self, request: bytes, timeout: float) -> Refused | None:
        """Send a request; what a broken or frozen connection swallowed is sent once more over a new one."""
        began = self._clock.monotonic()
        if began > self._give_up:
            return Refused("DEADLINE_EXCEEDED", "this export took too long; the next one goes on where it ended")
        if self._connection is None:
            return Refused("UNAVAILABLE", "no connection")
        refused = self._connection.write(request, timeout)
        took = self._clock.monotonic() - began
        frozen = took > timeout + _FROZEN_SECONDS
        if refused is None or not self._may_resend or not (refused.code == "UNAVAILABLE" or frozen):
            return refused
        self._may_resend = False
        self._give_up += took
        self.close()
        self._connection = self._connect(self._settings)
        again = self._connection.write(request, timeout)
        return None if again is None else replace(again, resent=True)

    def _connected(self) -> bool:
        if self._connection is not None:
            return True
        self._prepare()
        if self._exporter is None:
            return self._unreachable("no project: set GOOGLE_CLOUD_PROJECT, or CLOUDOPS_EMULATOR_HOST for the emulator")
        try:
            self._connection = self._connect(self._settings)
        except Exception as error:  # noqa: BLE001  # no credentials, or a broken installation: told, tried again
            return self._unreachable(f"{type(error).__name__}: {error}".partition("\n")[0])
        return True

    def _unreachable(self, why: str) -> bool:
        self.figures.failed("UNAUTHENTICATED")
        self.teller.tell(f"metrics are counted but not exported: {why}")
        return False

    def _tell(self, report: Report) -> None:
        for metric, labels, answer in report.set_aside:
            self.teller.set_aside(metric, labels, answer)
        self.figures.dropped("poisoned", len(report.set_aside))
        self.figures.dropped("overflow", report.lost)
        for code, count in report.refused.items():
            if code not in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}:
                self.figures.dropped("refused", count)
        if not report.ok or self.teller.owes:
            self.teller.tell(
                "some metrics were not accepted; the next export carries their totals",
                refused=report.refused,
                answer=report.answer,
            )
