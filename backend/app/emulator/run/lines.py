"""Lines of the command's output on their way, in bounded memory: what does not fit is dropped and counted."""

import threading
import time
from collections import deque
from typing import Literal, NamedTuple

# The request log is the platform's own, but takes the same way.
Stream = Literal["stdout", "stderr", "requests"]

# Cloud Logging takes entries up to 256 KiB; the platform cuts longer lines.
LINE_BYTES = 256 * 1024


class Line(NamedTuple):
    stream: Stream
    arrived: int
    """Nanoseconds since the epoch."""
    number: int
    """Counts from 0 over both streams."""
    text: bytes
    """Without the line break, at most LINE_BYTES."""


class LineQueue:
    """Between the reader, who never waits, and one slower consumer; when full, the oldest lines go."""

    def __init__(self, lines: int = 100_000, size: int = 64 * 2**20) -> None:
        self.dropped = 0
        self._limits = (lines, size)
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, line: Line) -> None:
        with self._changed:
            self._lines.append(line)
            self._bytes += len(line.text)
            while len(self._lines) > self._limits[0] or self._bytes > self._limits[1]:
                self._bytes -= len(self._lines.popleft().text)
                self.dropped += 1
            self._changed.notify()

    def take(self, lines: int, size: int) -> list[Line] | None:
        """Wait for lines, and take as many as the limits allow; None once it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closed)
            taken: list[Line] = []
            room = size
            while self._lines and len(taken) < lines and room > 0:
                line = self._lines.popleft()
                room -= len(line.text)
                taken.append(line)
            self._bytes -= size - room
            return taken or None

    def close(self) -> None:
        """No more lines will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Drop what is left, and count it."""
        with self._changed:
            self.dropped += len(self._lines)
            self._lines.clear()
            self._bytes = 0
            self._closed = True
            self._changed.notify_all()


class Splitter:
    """Cuts the bytes of one stream into lines; of a line that is too long the beginning is kept."""

    def __init__(self) -> None:
        self.truncated = 0
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        *complete, self._rest = (self._rest + data).split(b"\n")
        found = [cut for piece in complete if (cut := self._finish(piece)) is not None]
        if len(self._rest) > LINE_BYTES:
            if not self._skipping:
                self.truncated += 1
                found.append(self._rest[:LINE_BYTES])
            self._skipping, self._rest = True, b""
        return found

    def end(self) -> list[bytes]:
        """The last line, when it had no line break."""
        last, self._rest = self._rest, b""
        cut = self._finish(last) if last else None
        return [] if cut is None else [cut]

    def _finish(self, piece: bytes) -> bytes | None:
        if self._skipping:
            self._skipping = False
            return None
        piece = piece.removesuffix(b"\r")
        if len(piece) > LINE_BYTES:
            self.truncated += 1
            return piece[:LINE_BYTES]
        # An empty line says nothing.
        return piece if piece.strip() else None


def line_of(stream: Stream, number: int, text: bytes) -> Line:
    return Line(stream, time.time_ns(), number, text)
