"""What is lost at the end of the process, by signal: one line on stderr, however many parts have lost something."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from . import guard

Signal = Literal["logs", "metrics", "traces"]
MESSAGE: Final = "fastapi-cloudops: telemetry was lost at the end of the process"


class Farewell:
    """Collects what parts say they have lost while somebody waits for all of them; else it is told at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost: dict[str, str] = {}
        self._more: dict[str, object] = {}
        self._waiting = 0

    def lost(self, signal: Signal, what: str, **more: object) -> None:
        """Say what is lost for good, as `3 series`; `more` stands beside it."""
        with self._lock:
            self._lost[signal] = what
            self._more |= more
            if self._waiting:
                return
        self._tell()

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Tell what is lost within the block, or is being collected elsewhere, in one line at its end."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, {}
            more, self._more = self._more, {}
        if lost:
            guard.warn(MESSAGE, lost=lost, **more)


#: Of this process.
farewell = Farewell()
