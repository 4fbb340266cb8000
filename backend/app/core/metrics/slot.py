"""A number of its own for each worker of an instance, the same after a restart.

With a number that comes back, recycling a worker opens no new time series. A POSIX record lock marks it as taken: the
kernel gives it back however the process ends, and a forked child does not inherit it. The file also holds the end of
the last interval written, since the next owner of the same series has to start later.
"""

import fcntl
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import Final

from .. import guard

_SLOTS: Final = 1024
_END: Final = Struct("<q")
# Record locks are per process: this process does not see its own, so it has to remember them.
_claimed: set[Path] = set()
_claiming = threading.Lock()


class Slot:
    """A claimed slot: `label` is unique on this instance, `last_end` what its previous owner wrote last (ns)."""

    def __init__(self, label: str, last_end: int = 0, descriptor: int | None = None, path: Path | None = None) -> None:
        self.label = label
        self.last_end = last_end
        self._descriptor = descriptor
        self._path = path

    def remember(self, end_ns: int) -> None:
        """Keep the end of the newest interval for whoever comes after us."""
        if self._descriptor is not None:
            with _reported():
                os.pwrite(self._descriptor, _END.pack(end_ns), 0)

    def release(self) -> None:
        if self._descriptor is not None and self._path is not None:
            os.close(self._descriptor)
            self._descriptor = None
            _claimed.discard(self._path)


def claim(service: str, directory: Path | None = None) -> Slot:
    """The first free slot of a service; where no file can be written, a random label and one warning."""
    folder = directory or Path(tempfile.gettempdir()) / f"fastapi-cloudops-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", service)
        with _claiming:
            for number in range(_SLOTS):
                slot = _try(folder / f"{name}.{number}", number)
                if slot is not None:
                    return slot
    except OSError as error:
        guard.warn(f"fastapi-cloudops: no worker slot in {folder} ({error}); this process gets a series of its own")
    return Slot(secrets.token_hex(4))


def _try(path: Path, number: int) -> Slot | None:
    if path in _claimed:
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return None
    stored = os.pread(descriptor, _END.size, 0)
    _claimed.add(path)
    return Slot(str(number), _END.unpack(stored)[0] if len(stored) == _END.size else 0, descriptor, path)


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        guard.caught("worker slot", error)
