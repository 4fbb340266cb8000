"""The directory of a spool: nobody's but ours, bounded, and shared by all processes of a host.

A POSIX record lock on each segment tells the living from the dead: the kernel gives it back however a process ends,
and a forked child does not inherit it. Everything is opened relative to the directory's own descriptor, and nothing
through a symbolic link.
"""

import fcntl
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .frames import MARKER_BYTES

#: The most that a segment takes; a record has to fit into one.
SEGMENT_BYTES: Final = 1 << 20
#: Changes with the form of segments: what another version has written is left to it.
VERSION: Final = 1
_NAME: Final = re.compile(rf"cloudops-\d+-[a-z]+-[0-9a-f]+-[0-9a-f]{{{2 * MARKER_BYTES}}}\.spool")
_LOCK: Final = "cloudops.lock"
_SAFE: Final = os.O_NOFOLLOW | os.O_CLOEXEC

# Record locks are per process, and closing any descriptor of a file gives its lock back: what this process holds must
# not be opened again. Guards `_held` too.
_lock = threading.Lock()
_held: set[tuple[int, int]] = set()


class UnusableError(OSError):
    """The directory is not one that records may be kept in; the message says why."""


class Segment:
    """An open segment, locked by this process. Used by one thread."""

    def __init__(self, directory: "Directory", name: str, descriptor: int) -> None:
        self._directory = directory
        self.name = name
        self.descriptor = descriptor
        self.marker = bytes.fromhex(name.removesuffix(".spool").rpartition("-")[2])
        self.size = 0
        #: Number of the next record.
        self.next = 0
        #: Records that are not done.
        self.live = 0
        #: Those that are done, but not yet on disk.
        self.done: list[int] = []
        self.closed = False
        found = os.fstat(descriptor)
        self.identity = (found.st_dev, found.st_ino)

    def read(self) -> bytes:
        """All of it; a file that somebody has made longer than a segment is read so far."""
        return os.pread(self.descriptor, SEGMENT_BYTES, 0)

    def append(self, data: bytes) -> None:
        """Write at the end, all or nothing.

        Raises:
            OSError: It could not be written.
        """
        before = self.size
        try:
            left = memoryview(data)
            while left:
                left = left[os.pwrite(self.descriptor, left, self.size) :]
                self.size = before + len(data) - len(left)
        except OSError:
            self.size = before
            with suppress(OSError):
                os.ftruncate(self.descriptor, before)
            raise

    def close(self) -> None:
        """Leave it to whoever comes next."""
        self.closed = True
        with _lock:
            _held.discard(self.identity)
            os.close(self.descriptor)

    def remove(self) -> None:
        """It is not needed any more."""
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self._directory.descriptor)
        self.close()


class Directory:
    """A directory for segments.

    Args:
        path: Made if it is missing; its parent has to exist.
        limit: Bytes of all segments in it.

    Raises:
        UnusableError: It is a link, somebody else's, or open to others; or it cannot be made.
    """

    def __init__(self, path: str, limit: int) -> None:
        self._most = limit // SEGMENT_BYTES
        try:
            with suppress(FileExistsError):
                Path(path).mkdir(0o700)
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _SAFE)
        except OSError as error:
            raise UnusableError(f"{path}: {error.strerror}") from error
        found = os.fstat(self.descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            os.close(self.descriptor)
            raise UnusableError(f"{path}: has to belong to the service's user, with mode 0700")

    def close(self) -> None:
        os.close(self.descriptor)

    def create(self, kind: str) -> Segment | None:
        """A new segment; None when there is no room for one.

        Raises:
            OSError: It could not be made.
        """
        with self._locked():
            if sum(1 for _ in self._names("")) >= self._most:
                return None
            name = f"cloudops-{VERSION}-{kind}-{secrets.token_hex(MARKER_BYTES)}.spool"
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE, 0o600, dir_fd=self.descriptor)
            return self._take(name, descriptor)

    def claim(self, kind: str) -> Segment | None:
        """A segment of a process that is gone, now ours; None when there is none.

        Raises:
            OSError: The directory could not be read.
        """
        with self._locked():
            for name in sorted(self._names(f"cloudops-{VERSION}-{kind}-")):
                with suppress(OSError):  # gone, or no file of ours
                    found = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
                    if (
                        not stat.S_ISREG(found.st_mode)
                        or found.st_uid != os.geteuid()
                        or found.st_nlink != 1
                        or (found.st_dev, found.st_ino) in _held
                    ):
                        continue
                    descriptor = os.open(name, os.O_RDWR | os.O_NONBLOCK | _SAFE, dir_fd=self.descriptor)
                    segment = self._take(name, descriptor)
                    if segment is not None:
                        segment.size = found.st_size
                        return segment
        return None

    def _names(self, prefix: str) -> Iterator[str]:
        names = os.listdir(self.descriptor)  # noqa: PTH208  # a path could be another directory by now
        return (name for name in names if name.startswith(prefix) and _NAME.fullmatch(name))

    def _take(self, name: str, descriptor: int) -> Segment | None:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # its process lives
            os.close(descriptor)
            return None
        segment = Segment(self, name, descriptor)
        _held.add(segment.identity)
        return segment

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """No other process makes or claims a segment meanwhile: one that is being made is not locked yet."""
        with _lock:
            descriptor = os.open(_LOCK, os.O_RDWR | os.O_CREAT | _SAFE, 0o600, dir_fd=self.descriptor)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)


def _in_child() -> None:
    global _lock  # noqa: PLW0603  # whoever held it does not exist in the child
    _lock = threading.Lock()
    _held.clear()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=_in_child)
