"""Sends finished spans from a thread of its own: a dead back end of metrics must not hold up spans, nor these those.

Never started at import, nor before a fork; in a forked child it starts anew with its first span.
"""

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Protocol

from .. import guard
from ..farewell import farewell
from ..metrics.teller import Teller
from .buffer import Buffer, Waiting

if TYPE_CHECKING:
    from ..clock import Clock
    from ..metrics.refusals import Refused
    from ..spool.writer import Spool

#: Spans of one request to the back end, and its bytes as `size_of` counts them.
BATCH: Final = 512
BATCH_BYTES: Final = 1 << 20
_INTERVAL: Final = 2.0
_LAST_INTERVAL: Final = 0.1
_CALL_SECONDS: Final = 5.0
_LEAST_CALL_SECONDS: Final = 0.2
_LONGEST_BACKOFF: Final = 30.0
_LOCATE_SECONDS: Final = 5.0
_SPOOL_SECONDS: Final = 1.0
_NO_CREDENTIALS: Final = "UNAUTHENTICATED"
# What is wrong with the spans themselves would be wrong the next time (opentelemetry.io/docs/specs/otlp/#failures); the
# service's permissions may be mended while we wait.
_FINAL: Final = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE", "ALREADY_EXISTS"})


class Connection(Protocol):
    def write(self, request: bytes, timeout: float) -> "Refused | None":
        """Send a serialised request; None when all of it was taken."""

    def close(self) -> None: ...


class Exporter:
    """One app's way to the back end.

    Args:
        buffer: The spans.
        prepare: Called first in the thread: loads what is slow to load.
        connect: Opens the way; called in the thread, with the first spans.
        encode: Makes a request of spans.
        located: Set once it is known where this process runs.
        dropped: Called with a reason and a number of spans.
        clock: Deadlines.
        tells_credentials: Whether to say that there are none; where metrics are exported too, they say it.
        survives_fork: Whether a child may connect although its parent had.
        spool: Holds on disk what its owner secures there before it is put; closed with this.
        interval: Seconds in which more spans may join a request to the back end; the first wait after a failure.
    """

    def __init__(
        self,
        buffer: Buffer,
        *,
        prepare: Callable[[], None],
        connect: Callable[[], Connection],
        encode: Callable[[Iterable[Any]], bytes],
        located: Callable[[float], object],
        dropped: Callable[[str, int], None],
        clock: "Clock",
        tells_credentials: bool = True,
        survives_fork: bool = False,
        spool: "Spool | None" = None,
        interval: float = _INTERVAL,
    ) -> None:
        self._buffer = buffer
        self._prepare = prepare
        self._connect = connect
        self._encode = encode
        self._located = located
        self._dropped = dropped
        self._clock = clock
        self._tells_credentials = tells_credentials
        self._survives_fork = survives_fork
        self._spool = spool
        self._interval = self._pause = interval
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._connection: Connection | None = None
        self._connected = False
        self._teller = Teller(clock)
        self._told_after_fork = False
        #: Spans that the back end has taken.
        self.sent = 0
        self._reset()

    def _reset(self) -> None:
        # Its `put` may be called from a signal handler that interrupts a `put`; `threading.Event.set` may not.
        self._wakes: SimpleQueue[bool] = SimpleQueue()
        self._done = threading.Condition()
        self._rounds = 0
        self._busy = 0
        self._deadline: float | None = None  # set once the process ends

    def start(self) -> None:
        """Start the thread of this process, if it has none; does not wait for it."""
        with self._lock:
            if (self._thread is not None and self._pid == os.getpid()) or self.forked:
                return
            self._pid = os.getpid()
            # Perhaps again, after an end: a lifespan may be run twice.
            self._deadline, self._pause = None, self._interval
            self._thread = threading.Thread(target=self._run, name="fastapi-cloudops-traces", daemon=True)
            self._thread.start()

    @property
    def forked(self) -> bool:
        """Whether this is a child of a process that had connected: gRPC does not survive that."""
        return self._connected and self._pid != os.getpid() and not self._survives_fork

    def put(self, waiting: Waiting) -> None:
        """Take spans; never waits."""
        if self._pid != os.getpid():
            if self.forked:
                self._lost_after_fork(waiting.count)
                return
            self.start()
        self._buffer.put(waiting)
        self._wakes.put(False)

    def hurry(self) -> None:
        """Send what there is without waiting for more."""
        self._wakes.put(True)

    def about_to_stop(self) -> None:
        """The process is going to end: send what comes as soon as it comes. Callable from a signal handler."""
        self._pause = _LAST_INTERVAL
        self._wakes.put(True)

    def flush(self, timeout: float) -> bool:
        """Send what there is; whether all of it was taken within `timeout` seconds. Blocks."""
        if self._thread is None or self._pid != os.getpid():
            return self._buffer.count == 0
        until = self._clock.monotonic() + timeout
        with self._done:
            while self._buffer.count or self._busy:
                if (left := until - self._clock.monotonic()) <= 0 or not self._thread.is_alive():
                    return False
                self.hurry()
                self._done.wait(min(left, 0.5))
        return True

    def close(self, timeout: float) -> None:
        """Send what there is within `timeout` seconds, and end the thread. What is lost is counted and told."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None or self._pid != os.getpid():
            return
        self._deadline = self._clock.monotonic() + timeout
        self.hurry()
        thread.join(timeout + _LEAST_CALL_SECONDS)
        lost = self._buffer.clear() + self._busy
        if self._spool is not None:
            self._spool.close(_SPOOL_SECONDS)
            lost = max(0, lost - self._spool.live)
        if lost:
            self._dropped("undelivered", lost)
            farewell.lost("traces", f"{lost} spans")

    def in_child_after_fork(self) -> None:
        """The parent sends what it had; whoever held a lock does not exist here."""
        self._lock = threading.Lock()
        self._thread = None
        _never_freed.append(self._connection)  # closing it would wait for threads that only the parent has
        self._connection = None
        self._reset()

    def _lost_after_fork(self, count: int) -> None:
        self._dropped("after_fork", count)
        if not self._told_after_fork:
            self._told_after_fork = True
            guard.warn(
                "fastapi-cloudops: forked after spans were exported; this process exports none "
                "(start workers with `spawn`, or start telemetry in each of them)",
                reason="after_fork",
                signal="traces",
            )

    # --- the thread

    def _run(self) -> None:
        try:
            self._prepare()
            backoff = 0.0
            while self._wait(backoff):
                if self._send_all():
                    backoff = 0.0
                elif self._ends():
                    return
                else:
                    backoff = min(_LONGEST_BACKOFF, backoff * 2 or self._interval)
        except Exception as error:  # noqa: BLE001  # the thread's end must not pass unnoticed, nor touch the service
            guard.caught("traces", error)
        finally:
            self._disconnect()

    def _ends(self) -> bool:
        return self._deadline is not None

    def _wait(self, backoff: float) -> bool:
        """Wait for spans, and a little for more of them; False when the process ends and there are none."""
        if self._ends():
            return self._buffer.count > 0
        hurried = False
        if not self._buffer.count:
            hurried = self._wakes.get()
        until = self._clock.monotonic() + max(backoff, self._pause)
        while not hurried and not self._ends() and (left := until - self._clock.monotonic()) > 0:
            if not backoff and self._buffer.count >= BATCH:
                break
            try:
                hurried = self._wakes.get(timeout=left)
            except Empty:
                break
        return not self._ends() or self._buffer.count > 0

    def _send_all(self) -> bool:
        """Send batch after batch; False when one could not be sent."""
        try:
            while (taken := self._buffer.take(BATCH, BATCH_BYTES)) and (count := sum(one.count for one in taken)):
                self._busy = count
                if not self._send(taken):
                    return False
                self._busy = 0
            return True
        finally:
            with self._done:
                self._busy = 0
                self._done.notify_all()

    def _send(self, taken: list[Waiting]) -> bool:
        kept: list[Waiting] = []
        spans: list[Any] = []
        for one in taken:
            try:
                made = one.spans()
            except Exception as error:  # noqa: BLE001  # one request's spans must not cost the others
                guard.caught("span", error)
                self._buffer.done([one])
                continue
            spans += made
            kept.append(replace(one, spans=partial(list, made)))  # made once, however often they are sent
        refused = self._write(spans) if spans else None
        if refused is None:
            self.sent += len(spans)
        elif refused.partial:
            rejected = min(sum(refused.points.values()), len(spans))
            self.sent += len(spans) - rejected
            self._refused(rejected, refused)
        elif refused.code not in _FINAL:
            self._buffer.put_back(kept)
            if self._tells_credentials or refused.code != _NO_CREDENTIALS:
                self._teller.tell(
                    "spans are not exported; they wait as long as there is room",
                    signal="traces",
                    code=refused.code,
                    answer=refused.message,
                )
            return False
        elif len(kept) > 1:  # what is wrong with one must not cost the others
            middle = len(kept) // 2
            if not self._send(kept[:middle]):
                self._buffer.put_back(kept[middle:])
                return False
            return self._send(kept[middle:])
        else:
            self._refused(len(spans), refused)
        self._buffer.done(kept)
        return True

    def _write(self, spans: list[Any]) -> "Refused | None":
        from ..metrics.refusals import Refused  # noqa: PLC0415  # in this thread, as all of the export

        timeout = _CALL_SECONDS
        if self._deadline is not None:
            timeout = min(timeout, self._deadline - self._clock.monotonic())
            if timeout < _LEAST_CALL_SECONDS:
                return Refused("DEADLINE_EXCEEDED", "the process ends")
        try:
            if self._connection is None:
                self._located(min(timeout, _LOCATE_SECONDS))
                self._connected = True
                self._connection = self._connect()
            refused = self._connection.write(self._encode(spans), timeout)
        except Exception as error:  # noqa: BLE001  # no credentials, or a broken installation: told, tried again
            self._disconnect()
            return Refused(_NO_CREDENTIALS, f"{type(error).__name__}: {error}".partition("\n")[0])
        if refused is not None and refused.code == _NO_CREDENTIALS:
            self._disconnect()  # credentials are read again
        return refused

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _refused(self, count: int, refused: "Refused") -> None:
        self._dropped("refused", count)
        self._teller.tell(
            "some spans were not accepted", signal="traces", spans=count, code=refused.code, answer=refused.message
        )


#: Connections of the parent, in a child.
_never_freed: list[object] = []
