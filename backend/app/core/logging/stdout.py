"""One entry, one line, one write: the platform's agent takes it from standard output."""

import os
import threading
from typing import Final

from .. import guard

#: Up to this size one write to a pipe is never torn apart by another process's (POSIX `PIPE_BUF` on Linux).
_ATOMIC: Final = 4096


class Stdout:
    """Writes whole lines to a file descriptor and counts them."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self.lines = 0
        self.bytes = 0
        self.dropped = 0

    def __call__(self, line: bytes) -> None:
        """Write one line, which ends in a newline. Never raises; what cannot be written is counted."""
        try:
            if len(line) <= _ATOMIC:
                written = os.write(self._descriptor, line)
                if written < len(line):
                    self._rest(line[written:])
            else:
                self._rest(line)
        except OSError as error:
            self.dropped += 1
            guard.caught("stdout", error)
        else:
            self.lines += 1
            self.bytes += len(line)

    def _rest(self, line: bytes) -> None:
        view = memoryview(line)
        with self._lock:
            while view:
                view = view[os.write(self._descriptor, view) :]
