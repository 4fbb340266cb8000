"""The end of a service, from SIGTERM to the last line: readiness, streams, logs, and what is lost."""

import _thread
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from . import guard
from .draining import process_draining
from .farewell import farewell
from .termination import on_sigterm, termination

if TYPE_CHECKING:
    from .health import HealthRegistry
    from .lifecycle import Worker
    from .logging.destination import Destination

#: Logs are out this long after SIGTERM, or wait for the server's end.
LOGS_SECONDS: Final = 3.0
# Cloud Run kills after 10 s; the last word is said before, also where the server's own end never comes.
_LAST_WORD_SECONDS: Final = 9.4
# Cloud Run has taken the instance out before it sends SIGTERM. Whoever drains longer has no time left for the final
# write, which needs the API's gap of 5 s.
LONGEST_ON_CLOUD_RUN: Final = 3.0
_LAST_TRY_SECONDS: Final = 0.2


class Ending:
    """What one app does about its end, in whichever order signal and `lifespan.shutdown` come.

    Args:
        health: Its readiness fails.
        worker: Its final write has a deadline of its own.
        destination: Its log lines are delivered; None where somebody else takes them.
        drain_seconds: From SIGTERM to the server's own handler.
        on_cloud_run: The platform kills ten seconds after SIGTERM.
    """

    def __init__(
        self,
        health: "HealthRegistry",
        worker: "Worker",
        destination: "Destination | None",
        drain_seconds: float,
        *,
        on_cloud_run: bool,
    ) -> None:
        self._health = health
        self._worker = worker
        self._destination = destination
        self._drain_seconds = min(drain_seconds, LONGEST_ON_CLOUD_RUN) if on_cloud_run else drain_seconds
        self._on_cloud_run = on_cloud_run
        self._undo: Callable[[], None] | None = None
        self._over = threading.Event()
        self._begun = False

    def start(self) -> None:
        """The service starts, perhaps again: hear SIGTERM from now on."""
        self._begun = False
        self._over.clear()
        process_draining.reset()
        termination.begin_again(self._drain_seconds)
        if self._undo is None:
            self._undo = on_sigterm(_of(self))
            weakref.finalize(self, self._undo)

    def listen(self) -> None:
        """The server serves: it may have installed a handler of its own meanwhile."""
        if self._undo is not None:
            termination.listen()

    def begin(self) -> None:
        """The service is going to end: requests should no longer come, and streams should end. Takes no lock."""
        self._health.drain()
        process_draining.begin()

    def heard(self) -> None:
        """SIGTERM is here; called inside of its handler."""
        if self._begun:
            return
        self._begun = True
        self.begin()
        if self._on_cloud_run:
            self._worker.killed_from(time.monotonic())
        # Not `threading.Thread`, whose start takes locks that the interrupted code may hold.
        _thread.start_new_thread(self._see_to_the_end, ())

    def _see_to_the_end(self) -> None:
        """In a thread of its own: what has to happen although the server's own end may never come."""
        began = time.monotonic()
        until = began + self._drain_seconds + _LAST_WORD_SECONDS
        if self._on_cloud_run:
            until = began + _LAST_WORD_SECONDS
        try:
            with farewell.collecting():
                if self._destination is not None:
                    self._destination.flush(LOGS_SECONDS)
                self._over.wait(max(0.0, until - time.monotonic()))
                if self._destination is not None and not self._over.is_set():
                    self._destination.flush(_LAST_TRY_SECONDS)
                    if lost := self._destination.at_risk:
                        farewell.lost("logs", f"{lost} entries")
        except Exception as error:  # noqa: BLE001  # there is nobody left to see it
            guard.caught("end", error)

    @contextmanager
    def last(self) -> Iterator[None]:
        """Around the flush at the end of the service's lifespan."""
        self.begin()
        self._health.stop()
        with farewell.collecting():
            yield
        self._over.set()
        if self._undo is not None:
            self._undo()
            self._undo = None


def _of(ending: Ending) -> Callable[[], None]:
    """Listens for an ending without keeping it, and with it the app, alive."""
    kept = weakref.ref(ending)

    def heard() -> None:
        found = kept()
        if found is not None:
            found.heard()

    return heard
