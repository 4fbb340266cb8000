"""LOG_DESTINATION=api: entries go to Cloud Logging itself, for hosts where no agent reads standard output.

A call puts its line into a bounded queue and returns. One thread, which starts with the first line, turns lines into
entries, sends them in batches and tries again what failed for a passing reason. An entry gets its insertId once, so
that one which arrives twice is stored once. When the queue is full the least severe entries go first, and are counted.
"""

import atexit
import os
import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from .. import guard
from ..farewell import farewell
from .api_sender import Payload, Queued, Ready, Sender, line_of
from .api_spool import SpooledLines, is_on_disk
from .resource import GLOBAL, Resource
from .spill import BUFFER_BYTES, KEPT, Backlog, severity_of

if TYPE_CHECKING:
    from ..spool.writer import Spool
    from .api_connection import Connection, Failure

#: google/logging/v2/logging.proto asks for no more than 10 MB a request; smaller ones fail and are sent again faster.
BATCH_BYTES: Final = 4 * 2**20
BATCH_ENTRIES: Final = 1000
_QUOTA_SECONDS: Final = 1.0
_LONGEST_RETRY_AFTER: Final = 60.0
_WARN_EVERY_SECONDS: Final = 60.0
_EXIT_SECONDS: Final = 2.0
_SPOOL_SECONDS: Final = 1.0
#: Set in the sending thread and, through gRPC's copy of its context, where credentials are renewed.
_sending: ContextVar[bool] = ContextVar("fastapi_cloudops_sending", default=False)

_outputs: "weakref.WeakSet[ApiLog]" = weakref.WeakSet()


class ApiLog:
    """Takes rendered lines, as `Stdout` does, and sends them to Cloud Logging.

    Args:
        project: Whose log it is; empty: the project of the credentials.
        log_id: Name of the log within the project.
        resource: What the entries belong to.
        emulator_host: `host:port` of the emulator's gRPC port; empty: Google Cloud.
        buffer_bytes: How much may wait. Beyond it the least severe entries are dropped first.
        fallback: Takes lines that this cannot send: in a forked child, after `close`, and records of the client itself.
        rescue: Takes a line of `keep` that this cannot send; False when it cannot write it either.
        spool: Keeps what waits on disk too; it brings back what dead processes have left, once this is opened.
        linger: Seconds that a line waits for others to go with it.
        delays: Seconds of the first and the longest pause before another attempt; each is drawn from zero up.
        connect: Opens a connection; see `api_connection.connect`.
    """

    def __init__(
        self,
        project: str,
        log_id: str,
        resource: Resource = GLOBAL,
        *,
        emulator_host: str = "",
        buffer_bytes: int = BUFFER_BYTES,
        fallback: Callable[[bytes], None] | None = None,
        rescue: Callable[[bytes], bool] | None = None,
        spool: "Spool | None" = None,
        linger: float = 0.5,
        delays: tuple[float, float] = (1.0, 10.0),
        connect: "Callable[[str, str], Connection] | None" = None,
    ) -> None:
        # What is on its way cannot be dropped for more severe entries, so it is the smaller part.
        self._batch_bytes = min(BATCH_BYTES, buffer_bytes // 4)
        self._limit = buffer_bytes - self._batch_bytes
        self._fallback = fallback
        self._rescue = rescue
        self._linger = linger
        self._delays = delays
        self._sender = Sender((project, log_id, resource), emulator_host, connect, self._batch_bytes)
        self._spool: SpooledLines | None = None
        if spool is not None:
            self._spool = SpooledLines(spool, self._add_recovered, lambda: self._backlog.has_room, self._damaged)
        self._lost: Counter[tuple[str, str]] = Counter()
        self._told: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._at_exit = False
        self._forked = False
        self._closed = False
        self.lines = 0
        self.bytes = 0
        #: Records of the client itself, which are not sent.
        self.own = 0
        self._begin()
        _outputs.add(self)

    def _begin(self) -> None:
        # Guards everything; notified when the thread has to look again, and whenever it has sent something.
        self._changed = threading.Condition()
        self._backlog: Backlog[Payload] = Backlog(self._limit, self._settle)
        self._in_flight = 0
        self._idle = False
        self._hurry = False
        self._abandoned = False
        self._attempt = 0

    @property
    def dropped(self) -> int:
        """Entries lost, for whatever reason."""
        return self.dropped_by_severity.total()

    @property
    def dropped_by_severity(self) -> Counter[str]:
        with self._changed:
            lost: Counter[str] = Counter(self._backlog.dropped)
            for (_reason, severity), number in self._lost.items():
                lost[severity] += number
        return lost

    @property
    def dropped_by_reason(self) -> Counter[str]:
        """`full`, `refused`, `closed` before they were sent, `forked` without a fallback, or `damaged` on disk."""
        with self._changed:
            lost = Counter({"full": self._backlog.dropped.total()})
            for (reason, _severity), number in self._lost.items():
                lost[reason] += number
        return +lost

    @property
    def waiting(self) -> int:
        """Entries that Cloud Logging has not taken yet."""
        return len(self._backlog) + self._in_flight

    @property
    def at_risk(self) -> int:
        """Those of them that would be lost with the process: they are not on disk."""
        return self.waiting if self._spool is None else max(0, self.waiting - self._spool.live)

    def __call__(self, line: bytes) -> None:
        """Queue one line. Never raises and never waits; what is lost is counted."""
        if _sending.get():
            self._keep_out(line)
            return
        if self._forked or self._closed:
            self._unsendable(line)
            return
        self._put(line, severity_of(line))

    def keep(self, line: bytes) -> bool:
        """Queue one line that is never dropped for others; what cannot be sent is written to standard output instead.

        Never raises and never waits; False when it is lost all the same, which is counted as `AUDIT`.
        """
        if self._forked or self._closed:
            return self._lose(line, KEPT, "forked" if self._forked else "closed")
        return self._put(line, KEPT) or self._lose(line, KEPT, "full")

    def _put(self, line: bytes, severity: str) -> bool:
        payload = line if self._spool is None else self._spool.put(line, severity)
        if not (added := self._add(payload, len(line), severity)):
            self._settle(payload)
        return added

    def _add(self, payload: Payload, length: int, severity: str) -> bool:
        with self._changed:
            added = self._backlog.add(payload, length, severity)
            if self._thread is None:
                self._start()
            elif self._idle or (len(self._backlog) >= BATCH_ENTRIES and self._in_flight == 0):
                self._changed.notify_all()
        return added

    def _add_recovered(self, payload: Payload, length: int, severity: str) -> bool:
        return self._add(payload, length, severity) or self._lose(line_of(payload), severity, "full")

    def _damaged(self, count: int) -> None:
        with self._changed:
            self._lost["damaged", "DEFAULT"] += count

    def _settle(self, *payloads: Payload) -> None:
        if self._spool is not None:
            self._spool.settle(payloads)

    def _lose(self, line: bytes, severity: str, reason: str) -> bool:
        if severity == KEPT and self._rescue is not None and self._rescue(line):
            return True
        with self._changed:
            self._lost[reason, severity] += 1
        return False

    def flush(self, timeout: float = 2.0) -> bool:
        """Send what waits, without a pause before the next attempt; False when that takes longer than `timeout`."""
        with self._changed:
            self._hurry = self.waiting > 0
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self.waiting == 0, timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Flush and end the thread. What was not sent in time is counted as dropped; later lines go to the fallback."""
        flushed = self.flush(timeout)
        with self._changed:
            thread = self._thread
            self._closed = self._abandoned = True
            self._changed.notify_all()
        if thread is not None and not self._forked:
            if not flushed:
                self._sender.close()  # ends the call that is under way
            thread.join(1.0)
        self._drop_rest()
        return flushed

    def _drop_rest(self) -> None:
        if self._spool is not None:
            self._spool.close(_SPOOL_SECONDS)
        with self._changed:
            rest = [held for held in self._backlog.take(self._backlog.bytes) if not is_on_disk(held)]
        lost = sum(not self._lose(line_of(held.payload), held.severity, "closed") for held in rest)
        if lost:
            farewell.lost("logs", f"{lost} entries")

    def open(self) -> None:
        """Take lines, perhaps again after `close`, and those that dead processes have left."""
        with self._changed:
            self._closed = self._abandoned = False
        if self._spool is not None and not self._forked:
            self._spool.start()

    def after_fork(self) -> None:
        """In the child: what waits is the parent's to send, and gRPC does not survive a fork beside a live thread."""
        for severity, number in self._backlog.dropped.items():
            self._lost["full", severity] += number  # totals never go back
        self._forked = self._forked or self._thread is not None
        self._begin()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="fastapi-cloudops-logs", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter is ending: the next line tries again
            guard.caught("logs", error)
            return
        self._thread = thread
        if not self._at_exit:
            self._at_exit = True
            atexit.register(_close_at_exit, weakref.ref(self))

    def _unsendable(self, line: bytes) -> None:
        reason = "forked" if self._forked else "closed"
        if self._forked:
            self._tell(
                "fork",
                "fastapi-cloudops: forked after logs were sent to the API; this process "
                + ("writes them to standard output" if self._fallback else "cannot send its own"),
                pid=os.getpid(),
            )
        if self._fallback is not None:
            self._fallback(line)
            return
        severity = severity_of(line)
        with self._changed:
            self._lost[reason, severity] += 1

    def _keep_out(self, line: bytes) -> None:
        """A record of the client's own."""
        self.own += 1
        if self._fallback is not None:
            self._fallback(line)

    def _run(self) -> None:
        _sending.set(True)
        try:
            while batch := self._next_batch():
                pause = self._send(batch)
                with self._changed:
                    self._in_flight = 0
                    self._changed.notify_all()
                    if pause:
                        self._changed.wait_for(lambda: self._hurry or self._abandoned, pause)
        except Exception as error:  # noqa: BLE001  # the thread's end must not pass unnoticed; the next line starts another
            guard.caught("logs", error)
        finally:
            with self._changed:
                self._in_flight = 0
                self._thread = None
                self._changed.notify_all()
            if self._abandoned:
                self._drop_rest()
            self._sender.close()

    def _next_batch(self) -> list[Queued]:
        """Up to a batch; empty when the thread has to end."""
        with self._changed:
            self._idle = True
            self._changed.wait_for(lambda: self._backlog or self._abandoned)
            self._idle = False
            if not self._hurry:
                self._changed.wait_for(self._is_due, self._linger)
            if self._abandoned:
                return []
            batch = self._backlog.take(self._batch_bytes, BATCH_ENTRIES)
            self._in_flight = len(batch)
            if not self._backlog:
                self._hurry = False
            return batch

    def _is_due(self) -> bool:
        enough = len(self._backlog) >= BATCH_ENTRIES or self._backlog.bytes >= self._batch_bytes
        return enough or self._hurry or self._abandoned

    def _send(self, batch: list[Queued]) -> float:
        """Send a batch; the seconds to wait before the next."""
        converted = self._sender.convert(batch)
        self._put_back(converted.rest)
        self._refuse(converted.broken)
        for held in converted.own:
            self._keep_out(line_of(held.payload))
            self._settle(held.payload)
        if not converted.ready:
            return 0.0
        failure = self._sender.send(converted.ready)
        if failure is not None:
            return self._account(converted.ready, failure)
        self._attempt = 0
        self._sent(converted.ready)
        return 0.0

    def _account(self, ready: list[Queued], failure: "Failure") -> float:
        from .api_connection import RETRYABLE  # noqa: PLC0415  # loads gRPC, which only this thread needs

        codes = failure.entries or dict.fromkeys(range(len(ready)), failure.code)
        again = [held for index, held in enumerate(ready) if codes.get(index) in RETRYABLE]
        refused = [held for index, held in enumerate(ready) if index in codes and codes[index] not in RETRYABLE]
        self._sent([held for index, held in enumerate(ready) if index not in codes])
        self._refuse(refused)
        if not self._abandoned:
            self._tell(
                failure.code,
                "fastapi-cloudops: Cloud Logging did not take some entries",
                code=failure.code,
                answer=failure.message[:1000],
                dropped=len(refused),
                tried_again=len(again),
            )
        if not again:
            self._attempt = 0
            return 0.0
        pause = self._try_again(again)
        if failure.code == "RESOURCE_EXHAUSTED":
            pause = max(pause, min(_QUOTA_SECONDS, self._delays[1]))
        return max(pause, min(failure.retry_after, _LONGEST_RETRY_AFTER))

    def _try_again(self, again: list[Queued]) -> float:
        self._put_back(again)
        first, longest = self._delays
        pause = random.uniform(0, min(longest, first * 2 ** min(self._attempt, 16)))  # noqa: S311  # spreads, hides nothing
        self._attempt += 1
        with self._changed:
            self._hurry = False  # a flush hastens one attempt, not all of them
        return max(pause, 0.001)

    def _put_back(self, items: list[Queued]) -> None:
        if items:
            with self._changed:
                self._in_flight -= len(items)
                self._backlog.put_back(items)

    def _sent(self, items: list[Queued]) -> None:
        self.lines += len(items)
        self.bytes += sum(len(one.payload.entry) for one in items if isinstance(one.payload, Ready))
        self._settle(*(one.payload for one in items))

    def _refuse(self, items: list[Queued]) -> None:
        for held in items:
            self._lose(line_of(held.payload), held.severity, "refused")
            self._settle(held.payload)

    def _tell(self, topic: str, message: str, **fields: object) -> None:
        now = time.monotonic()
        if now - self._told.get(topic, -_WARN_EVERY_SECONDS) >= _WARN_EVERY_SECONDS:
            self._told[topic] = now
            guard.warn(message, **fields)


def _close_at_exit(reference: "weakref.ref[ApiLog]") -> None:
    output = reference()
    if output is not None:
        output.close(_EXIT_SECONDS)


def _after_fork() -> None:
    for output in _outputs:
        output.after_fork()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=_after_fork)
