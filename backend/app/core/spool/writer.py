"""Writes what waits to disk, from a thread of its own, and brings back what dead processes have left there.

A call hands its record over and returns; nothing waits for the disk. There is no `fsync`: what is written survives the
process, also SIGKILL, and not a power cut. Where the disk fails or is full, records wait in memory alone, as without a
spool, and that is told once.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from .. import guard
from . import frames
from .directory import SEGMENT_BYTES, Directory, Segment, UnusableError

#: Bytes that may wait for the disk; beyond, records are not spooled.
QUEUE_BYTES: Final = 4 * 2**20
_BATCH: Final = 512
_LOOK_AGAIN_SECONDS: Final = 60.0
_TRY_AGAIN_SECONDS: Final = 30.0
_ROOM_SECONDS: Final = 1.0

_all: "weakref.WeakSet[Spool]" = weakref.WeakSet()


class Ticket:
    """Stands for one record: where it is, once it is on disk."""

    __slots__ = ("number", "segment", "settled", "size", "weight")

    def __init__(self, size: int = 0, weight: int = 1) -> None:
        self.segment: Segment | None = None
        self.number = 0
        self.size = size
        self.weight = weight
        self.settled = False


class Spool:
    """One signal's records.

    Args:
        path: The directory.
        limit: Bytes of all segments in it, of all processes and signals.
        kind: Signal and destination; only segments of the same kind are brought back.
        origin: What holds for all records of this process.
    """

    def __init__(self, path: str, limit: int, kind: str, origin: bytes = b"") -> None:
        self._path = path
        self._limit = limit
        self._kind = kind
        self._origin = origin
        self._recovered: Callable[[bytes | None, bytes, Ticket], int] | None = None
        self._room: Callable[[], bool] = lambda: False
        self._lost: Callable[[int], None] = lambda _count: None
        self._refused = False
        #: Records that were not written, for whatever reason.
        self.skipped = 0
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        # Reentrant: a signal handler may log while a call of this thread holds it.
        self._lock = threading.RLock()
        self._queue: SimpleQueue[tuple[Ticket, Callable[[], bytes] | None] | None] = SimpleQueue()
        self._queued = 0
        self._thread: threading.Thread | None = None
        self._closing = False
        self._directory: Directory | None = None
        self._current: Segment | None = None
        self._others: list[Segment] = []
        self._not_before = self._look_again = 0.0
        self._told = False
        #: Records on disk that are not done, as their weights say.
        self.live = 0

    def attach(
        self,
        recovered: Callable[[bytes | None, bytes, Ticket], int],
        room: Callable[[], bool],
        lost: Callable[[int], None],
    ) -> None:
        """Who takes what dead processes have left; called in the spool's thread.

        Args:
            recovered: Takes the origin (None: it was damaged), a record and its ticket; returns its weight.
            room: Whether there is room for another segment's records.
            lost: Takes how many records were damaged.
        """
        self._recovered, self._room, self._lost = recovered, room, lost

    def start(self) -> None:
        """Start the thread of this process, if it has none; does not wait for it."""
        with self._lock:
            self._closing = False
            if self._thread is not None or self._refused:
                return
            self.live = 0
            thread = threading.Thread(target=self._run, name=f"fastapi-cloudops-spool-{self._kind}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is ending: the next record tries again
                guard.caught("spool", error)
                return
            self._thread = thread

    def put(self, make: Callable[[], bytes], size: int, weight: int = 1) -> Ticket | None:
        """Write a record; never waits. None: it is not going to be written.

        Args:
            make: The record; called in the thread. What it raises costs the record.
            size: About how many bytes it holds until then.
            weight: What it counts as in `live`.
        """
        if self._refused or self._closing:
            return None
        with self._lock:
            if self._queued + size > QUEUE_BYTES:
                self.skipped += weight
                return None
            self._queued += size
        ticket = Ticket(size, weight)
        self._queue.put((ticket, make))
        if self._thread is None:
            self.start()
        return ticket

    def done(self, ticket: Ticket) -> None:
        """The record is delivered, or given up."""
        ticket.settled = True
        if self._thread is not None:
            self._queue.put((ticket, None))

    def close(self, timeout: float) -> None:
        """Write what waits for it and end the thread. What is not done stays on disk for the next process."""
        with self._lock:
            thread, self._closing = self._thread, True
        self._queue.put(None)
        if thread is not None:
            thread.join(timeout)

    def in_child_after_fork(self) -> None:
        """Segments and thread are the parent's. Its locks are its own: closing what was inherited keeps them."""
        for descriptor in [one.descriptor for one in (self._current, *self._others) if one is not None]:
            with suppress(OSError):
                os.close(descriptor)
        self._reset()

    # --- the thread

    def _run(self) -> None:
        try:
            self._directory = Directory(self._path, self._limit)
            self._recover()
            while batch := self._next_batch():
                self._write([one for one in batch if one is not None])
                if self._closing and self._queue.empty():
                    break
                self._recover()
        except UnusableError as error:
            self._refused = True
            guard.warn(f"fastapi-cloudops: no spool, telemetry waits in memory alone: {error}")
        except Exception as error:  # noqa: BLE001  # the thread's end must not pass unnoticed, nor touch the service
            self._refused = True
            guard.caught("spool", error)
        finally:
            self._leave()

    def _leave(self) -> None:
        for segment in [*self._others, self._current]:
            if segment is not None:
                segment.close() if segment.live else segment.remove()
        if self._directory is not None:
            self._directory.close()
        with self._lock:
            self._current, self._others, self._directory = None, [], None
            self._thread = None
            self._look_again = 0.0
            if self._refused:  # nobody reads it any more
                self._queue = SimpleQueue()

    def _next_batch(self) -> list[tuple[Ticket, Callable[[], bytes] | None] | None]:
        """What waits; when nothing comes for a while, nothing to do but to look for segments."""
        batch = []
        with suppress(Empty):
            batch.append(self._queue.get(timeout=_LOOK_AGAIN_SECONDS))
            while len(batch) < _BATCH:
                batch.append(self._queue.get_nowait())
        return batch or [None]

    def _write(self, batch: list[tuple[Ticket, Callable[[], bytes] | None]]) -> None:
        """Write the records of a batch at once, and then what is done."""
        pending: list[tuple[Ticket, bytes]] = []
        finished: list[Ticket] = []
        size = 0
        for ticket, make in batch:
            if make is None:
                finished.append(ticket)
                continue
            with self._lock:
                self._queued -= ticket.size
            if ticket.settled:  # delivered before it was its turn
                continue
            try:
                payload = make()
            except Exception:  # noqa: BLE001  # whoever needs it next meets the same, and tells it
                self.skipped += ticket.weight
                continue
            cost = frames.FRAME_BYTES + len(payload) + frames.DONE_BYTES
            if pending and not self._fits(size + cost):
                self._append(pending)
                pending, size = [], 0
            pending.append((ticket, payload))
            size += cost
        self._append(pending)
        for ticket in finished:
            self._finish(ticket)
        for segment in [*self._others, self._current]:
            if segment is not None:
                self._tidy(segment)

    def _fits(self, cost: int) -> bool:
        """Whether the current segment takes so much more, and what says that all of it is done."""
        segment = self._current
        return segment is not None and segment.size + segment.live * frames.DONE_BYTES + cost <= SEGMENT_BYTES

    def _append(self, pending: list[tuple[Ticket, bytes]]) -> None:
        if not pending:
            return
        cost = sum(frames.FRAME_BYTES + len(payload) + frames.DONE_BYTES for _, payload in pending)
        segment = self._segment_for(cost)
        if segment is None:
            self.skipped += sum(ticket.weight for ticket, _ in pending)
            return
        data = [
            frames.record(segment.marker, number, payload) for number, (_, payload) in enumerate(pending, segment.next)
        ]
        try:
            segment.append(b"".join(data))
        except OSError as error:
            self._fail(error)
            self.skipped += sum(ticket.weight for ticket, _ in pending)
            return
        self._told = False
        for number, (ticket, _) in enumerate(pending, segment.next):
            ticket.number, ticket.segment = number, segment
            self.live += ticket.weight
        segment.next += len(pending)
        segment.live += len(pending)

    def _segment_for(self, cost: int) -> Segment | None:
        """The current segment, or a new one; None while there is no room on disk."""
        if self._fits(cost):
            return self._current
        if (
            self._directory is None
            or time.monotonic() < self._not_before
            or cost + frames.FRAME_BYTES + len(self._origin) > SEGMENT_BYTES
        ):
            return None
        if self._current is not None:
            self._others.append(self._current)
            self._current = None
        try:
            segment = self._directory.create(self._kind)
            if segment is None:
                self._not_before = time.monotonic() + _ROOM_SECONDS
                self._tell("is full")
                return None
            self._current = segment
            segment.append(frames.origin(segment.marker, self._origin))
        except OSError as error:
            self._fail(error)
            return None
        return segment

    def _fail(self, error: OSError) -> None:
        """The disk is full, or worse: it is tried again later, with another segment."""
        self._not_before = time.monotonic() + _TRY_AGAIN_SECONDS
        if self._current is not None:
            self._others.append(self._current)
            self._current = None
        self._tell(f"cannot be written ({error.strerror})")

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            guard.warn(f"fastapi-cloudops: the spool {what}; telemetry waits in memory alone", spool=self._path)

    def _finish(self, ticket: Ticket) -> None:
        segment, ticket.segment = ticket.segment, None
        if segment is not None and not segment.closed:
            segment.live -= 1
            segment.done.append(ticket.number)
            self.live -= ticket.weight

    def _tidy(self, segment: Segment) -> None:
        """Say on disk what is done, in the shortest way."""
        finished, segment.done = segment.done, []
        try:
            if not segment.live and segment is not self._current:
                self._others.remove(segment)
                segment.remove()
            elif finished:
                segment.append(frames.done(segment.marker, finished))
        except OSError as error:  # what is delivered may be delivered once more after a crash; ids make it the same
            self._fail(error)

    def _recover(self) -> None:
        """Bring back what dead processes have left, a segment at a time, as there is room for it."""
        if self._recovered is None or self._directory is None:
            return
        while time.monotonic() >= self._look_again and self._room():
            try:
                segment = self._directory.claim(self._kind)
            except OSError as error:
                self._fail(error)
                segment = None
            if segment is None:
                self._look_again = time.monotonic() + _LOOK_AGAIN_SECONDS
                return
            self._bring_back(segment)

    def _bring_back(self, segment: Segment) -> None:
        assert self._recovered is not None  # its caller has asked
        self._others.append(segment)
        try:
            content = frames.read(segment.read(), segment.marker)
        except OSError as error:  # a bad block: the next process may read it
            self._others.remove(segment)
            segment.close()
            self._look_again = time.monotonic() + _LOOK_AGAIN_SECONDS
            self._fail(error)
            return
        segment.live = len(content.records)
        if content.lost:
            guard.warn(
                "fastapi-cloudops: records of the spool were damaged; the others are sent",
                spool=self._path,
                lost=content.lost,
            )
            self._lost(content.lost)
        for number, payload in sorted(content.records.items()):
            ticket = Ticket()
            ticket.number, ticket.segment = number, segment
            try:
                ticket.weight = self._recovered(content.origin, payload, ticket)
            except Exception as error:  # noqa: BLE001  # one record must not cost the others
                guard.caught("spool", error)
                ticket.weight = 0
                self._finish(ticket)
            self.live += ticket.weight
        self._tidy(segment)


def _in_child() -> None:
    for spool in list(_all):
        spool.in_child_after_fork()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=_in_child)
