"""Reads what the command prints, at once and always: a full pipe would make the command wait."""

import os
import selectors
import sys
import threading
import time
from typing import IO

from .lines import LineQueue, Splitter, Stream, line_of

_CHUNK = 64 * 1024
# Processes that the command left behind may hold its pipes open for ever.
_AFTER_THE_END_SECONDS = 1.0
_TICK_SECONDS = 0.2


class Reader:
    """A thread over both streams, which fills the queues."""

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], queues: list[LineQueue]) -> None:
        self.lines = 0
        self._queues = queues
        self._streams: dict[Stream, tuple[IO[bytes], Splitter]] = {
            "stdout": (stdout, Splitter()),
            "stderr": (stderr, Splitter()),
        }
        self._ended: float | None = None
        self._thread = threading.Thread(target=self._work, name="cloudops-log-reader", daemon=True)
        self._thread.start()

    @property
    def truncated(self) -> int:
        return sum(splitter.truncated for _, splitter in self._streams.values())

    def finish(self) -> None:
        """The command has ended: read what is still in the pipes, then close the queues."""
        self._ended = time.monotonic()
        self._thread.join()

    def _work(self) -> None:
        with selectors.DefaultSelector() as selector:
            for name, (stream, _) in self._streams.items():
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, name)
            while selector.get_map() and not self._out_of_time():
                for key, _ in selector.select(_TICK_SECONDS):
                    name = key.data
                    if not self._read(name):
                        selector.unregister(key.fileobj)
        for name, (_, splitter) in self._streams.items():
            self._put(name, splitter.end())
        for queue in self._queues:
            queue.close()

    def _out_of_time(self) -> bool:
        return self._ended is not None and time.monotonic() - self._ended > _AFTER_THE_END_SECONDS

    def _read(self, name: Stream) -> bool:
        """Take one piece of a stream; false at its end."""
        stream, splitter = self._streams[name]
        try:
            data = os.read(stream.fileno(), _CHUNK)
        except BlockingIOError:
            return True
        self._put(name, splitter.feed(data))
        return bool(data)

    def _put(self, name: Stream, lines: list[bytes]) -> None:
        for text in lines:
            line = line_of(name, self.lines, text)
            self.lines += 1
            for queue in self._queues:
                queue.put(line)


class Echo:
    """A thread that shows the lines on our own terminal; a terminal that stands still costs lines, never time."""

    def __init__(self, queue: LineQueue, *, raw: bool, colour: bool) -> None:
        self._queue = queue
        self._raw = raw
        self._colour = colour
        self._thread = threading.Thread(target=self._work, name="cloudops-log-echo", daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _work(self) -> None:
        while (lines := self._queue.take(200, 2**20)) is not None:
            try:
                for line in lines:
                    self._show(line.stream, line.arrived, line.text)
                sys.stdout.flush()
                sys.stderr.flush()
            except (OSError, ValueError):
                # Whoever read our output has gone; the entries still go their way.
                self._queue.abandon()
                return

    def _show(self, stream: Stream, arrived: int, text: bytes) -> None:
        if self._raw:
            target = sys.stdout.buffer if stream == "stdout" else sys.stderr.buffer
            target.write(text + b"\n")
            return
        sys.stdout.write(self._readable(arrived, text) + "\n")

    def _readable(self, arrived: int, text: bytes) -> str:
        from .agent import json_object, severity_name  # noqa: PLC0415  # protobuf loads after the command has started
        from .display import message_of, readable  # noqa: PLC0415  # as above

        payload = json_object(text)
        if payload is None:
            return readable(arrived, "", text.decode(errors="replace"), colour=self._colour)
        request = payload.get("httpRequest")
        message = message_of(payload, request if isinstance(request, dict) else {})
        return readable(arrived, severity_name(payload.get("severity")), message, colour=self._colour)
