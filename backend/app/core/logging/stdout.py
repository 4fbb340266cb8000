"""One entry, one line, one write: the platform's agent takes it from standard output.

A line up to PIPE_BUF is written by the caller at once, so that it is out of the process before the call returns and not
even SIGKILL loses it. Where the write would have to wait, the line goes to the spill thread: the caller never waits.
"""

import os
import time
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Final

from .. import guard
from . import descriptor as descriptors
from .descriptor import Way
from .spill import BUFFER_BYTES, KEPT, Spill, severity_of

#: How long an output that nobody reads is left alone; a named pipe may find another reader.
_GONE_SECONDS: Final = 1.0
_UNDECIDED: Final = -1

# In the class below `bytes` is a count.
Line = bytes

_outputs: "weakref.WeakSet[Stdout]" = weakref.WeakSet()


class Stdout:
    """Writes whole lines to a file descriptor and counts them.

    What the descriptor is (pipe, file, terminal, socket) is found out at the first line; where it is opened again, what
    takes its number later is not followed.

    Args:
        descriptor: Where to write.
        buffer_bytes: How much may wait while the reader stalls. Beyond it the least severe lines are dropped first.
        rescue: Takes a line of `keep` that can neither be written nor wait; False when it cannot either.
    """

    def __init__(
        self,
        descriptor: int = 1,
        *,
        buffer_bytes: int = BUFFER_BYTES,
        rescue: Callable[[Line], bool] | None = None,
    ) -> None:
        self._rescue = rescue
        self._descriptor = descriptor
        self._way: Way | None = None
        self._send: descriptors.Send = _never
        # Lines up to this length go out here and now; below zero everything takes the longer way round.
        self._limit = _UNDECIDED
        self._gone_until = 0.0
        self._lines = 0
        self._bytes = 0
        self._failed: Counter[str] = Counter()
        self._spill = Spill(self._write_waiting, buffer_bytes, together=descriptors.ATOMIC, rescue=rescue)
        _outputs.add(self)

    @property
    def lines(self) -> int:
        """Lines written."""
        return self._lines + self._spill.lines

    @property
    def bytes(self) -> int:
        """Bytes written."""
        return self._bytes + self._spill.bytes

    @property
    def dropped(self) -> int:
        """Lines lost, for want of room or because they could not be written."""
        return self.dropped_by_severity.total()

    @property
    def dropped_by_severity(self) -> Counter[str]:
        with self._spill.changed:
            return self._failed + self._spill.dropped

    @property
    def waiting(self) -> int:
        """Lines that the spill thread has yet to write."""
        return self._spill.waiting

    def __call__(self, line: Line) -> None:
        """Write one line, which ends in a newline. Never raises and never waits; what is lost is counted."""
        if len(line) > self._limit or self._spill.active:
            self._go_round(line)
            return
        try:
            written = self._send(line)
        except BlockingIOError:
            self._spill.put(line)
        except OSError as error:
            self._lost(line, error)
        else:
            self._bytes += written
            if written == len(line):
                self._lines += 1
            else:
                self._finish(line[written:])

    def keep(self, line: Line) -> bool:
        """Write one line that is never dropped for others: while the reader stalls, it takes their room.

        Never raises and never waits; False when it is lost all the same, which is counted as `AUDIT`.
        """
        return self._go_round(line, KEPT)

    def rescue(self) -> None:
        """The end has come: lines of `keep` that still wait go where they can be written."""
        self._spill.rescue()

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until nothing waits; False when that takes longer than `timeout` seconds."""
        return self._spill.flush(timeout)

    def close(self, timeout: float = 2.0) -> bool:
        """Flush and end the thread; another line would start one again. False as `flush`."""
        return self._spill.close(timeout)

    def start_clean(self) -> None:
        """After a fork: what waits is the parent's to write."""
        self._spill.start_clean()

    def _go_round(self, line: Line, severity: str = "") -> bool:
        """What is not a short line into a pipe that takes it."""
        if self._gone_until and time.monotonic() < self._gone_until:
            return self._count_lost(line, severity)
        try:
            way = self._open()
            if self._spill.active or len(line) > way.limit:
                return self._wait(line, severity)
            if way.whole:
                return self._send_now(way, line, severity)
            # Terminals and sockets may take a part of a line: until it is whole, no other thread's may follow.
            with self._spill.changed:
                return self._send_now(way, line, severity)
        except OSError as error:
            return self._lost(line, error, severity)

    def _wait(self, line: Line, severity: str) -> bool:
        return self._spill.put(line, severity) or self._count_lost(line, severity)

    def _open(self) -> Way:
        way = self._way
        if way is None:
            with self._spill.changed:
                way = self._way = self._way or descriptors.open_way(self._descriptor)
                # Not earlier: another thread might be about to write, to whatever has the number by then.
                weakref.finalize(self, way.close).atexit = False
        if way.whole:
            self._send, self._limit = way.send, way.limit
        return way

    def _send_now(self, way: Way, line: Line, severity: str) -> bool:
        try:
            written = 0 if self._spill.active else way.send(line)
        except BlockingIOError:
            written = 0
        if written == 0:
            return self._wait(line, severity)
        self._gone_until = 0.0
        self._bytes += written
        if written == len(line):
            self._lines += 1
        else:
            self._finish(line[written:])
        return True

    def _finish(self, rest: Line) -> None:
        with self._spill.changed:
            self._spill.finish(rest)

    def _write_waiting(self, lines: Line) -> None:
        """For the spill thread."""
        if self._gone_until and time.monotonic() < self._gone_until:
            raise BrokenPipeError
        try:
            descriptors.write_waiting(self._open(), lines)
        except OSError as error:
            self._leave_alone(error)
            raise
        self._gone_until = 0.0

    def _lost(self, line: Line, error: OSError, severity: str = "") -> bool:
        rescued = self._count_lost(line, severity)
        if not self._gone_until:  # told once for all the lines that meet the same end
            guard.caught("stdout", error)
        self._leave_alone(error)
        return rescued

    def _count_lost(self, line: Line, severity: str = "") -> bool:
        if severity == KEPT and self._rescue is not None and self._rescue(line):
            return True
        with self._spill.changed:  # threads count here too
            self._failed[severity or severity_of(line)] += 1
        return False

    def _leave_alone(self, error: OSError) -> None:
        if descriptors.says_gone(error):
            self._gone_until = time.monotonic() + _GONE_SECONDS
            self._limit = _UNDECIDED  # lines go round, to where this is asked


def _never(_line: Line | memoryview) -> int:
    raise BlockingIOError  # an output whose kind is not known yet


def _start_clean_after_fork() -> None:
    descriptors.forget_locks()
    for output in _outputs:
        output.start_clean()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=_start_clean_after_fork)
