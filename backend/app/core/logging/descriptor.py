"""Writing to standard output without ever waiting for whoever reads it, and without changing it for anyone else.

`O_NONBLOCK` belongs to the open file description, which descriptor 1 shares with the app's `print` and with every
other worker, so it is never set there. What takes its place depends on what standard output is:

- pipe, terminal: opened again through /proc, which gives a description of our own that never waits. A terminal has to
  be written to in this way as well: it makes a writer wait although `poll` said it would not.
- pipe of another user (root's, in a container that runs as somebody else): opening it again is refused, so each write
  asks the kernel not to wait (`RWF_NOWAIT`, which pipes know since Linux 6.4).
- socket: `MSG_DONTWAIT`.
- file, /dev/null: written directly, there is no reader to wait for; a description of our own would have an offset of
  its own, and `print` and we would write over each other.
- anything else: waits, so that only the spill thread writes.
"""

import errno
import fcntl
import os
import select
import socket
import stat
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

#: Up to this size one write to a pipe is all or nothing, and never torn apart by another process's (POSIX `PIPE_BUF`).
ATOMIC: Final = 4096
_PAGE: Final = 4096
_LARGEST_PIPE: Final = 1 << 20  # what any user may ask for: /proc/sys/fs/pipe-max-size
_SHORTEST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.05
_POLL_MILLISECONDS: Final = 1000

Kind = Literal["file", "pipe", "terminal", "socket", "other"]
Send = Callable[[bytes | memoryview], int]


@dataclass(frozen=True, slots=True)
class Way:
    """How lines reach one descriptor.

    `send` returns how many bytes it wrote, and raises BlockingIOError where it would have to wait; lines longer than
    `limit` have to be written by a thread that may wait. `whole`: up to `limit` it writes all or nothing (unless a disk
    is full), so that lines of several threads need no lock.
    """

    kind: Kind
    descriptor: int
    send: Send
    limit: int
    whole: bool
    close: Callable[[], None]


def open_way(descriptor: int) -> Way:
    """The best way to write to a descriptor.

    Raises:
        OSError: The descriptor is closed.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(descriptor)):
        return Way("file", descriptor, partial(os.write, descriptor), sys.maxsize, whole=True, close=_nothing)
    if stat.S_ISSOCK(mode):
        return _socket(descriptor)
    kind: Kind = "pipe" if stat.S_ISFIFO(mode) else "terminal" if stat.S_ISCHR(mode) else "other"
    try:
        own = _open_again(descriptor)
    except OSError:  # another user's, no reader any more (ENXIO), or no /proc
        return _without_reopening(kind, descriptor)
    return Way(kind, own, partial(os.write, own), ATOMIC, whole=kind == "pipe", close=partial(_close, own))


def _open_again(descriptor: int) -> int:
    return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


def _socket(descriptor: int) -> Way:
    own = socket.socket(fileno=os.dup(descriptor))

    def send(data: bytes | memoryview) -> int:
        return own.send(data, socket.MSG_DONTWAIT)

    return Way("socket", descriptor, send, ATOMIC, whole=False, close=own.close)


def _without_reopening(kind: Kind, descriptor: int) -> Way:
    if kind == "pipe" and _takes_nowait(descriptor):

        def send(data: bytes | memoryview) -> int:
            return os.pwritev(descriptor, [data], -1, os.RWF_NOWAIT)

        return Way(kind, descriptor, send, ATOMIC, whole=True, close=_nothing)

    return Way(kind, descriptor, partial(os.write, descriptor), 0, whole=False, close=_nothing)


def _nothing() -> None:
    pass


def _close(descriptor: int) -> None:
    with suppress(OSError):  # something has closed all descriptors, as daemons do
        os.close(descriptor)


def _takes_nowait(descriptor: int) -> bool:
    """Whether the kernel does for this pipe; tried on one of our own, since a write cannot be tried without writing."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    reading, writing = os.pipe()
    try:
        # A named pipe belongs to another file system, which does not declare it fit for RWF_NOWAIT.
        same = os.fstat(writing).st_dev == os.fstat(descriptor).st_dev
        return same and os.pwritev(writing, [b"?"], -1, os.RWF_NOWAIT) == 1
    except OSError:  # EOPNOTSUPP: before Linux 6.4, or a sandbox
        return False
    finally:
        os.close(reading)
        os.close(writing)


# Record locks are per process; two outputs of one process exclude each other by this one.
_writing = threading.Lock()


def forget_locks() -> None:
    """After a fork: the thread that held the lock does not exist in the child."""
    global _writing  # noqa: PLW0603  # the lock of the whole process
    _writing = threading.Lock()


def write_waiting(way: Way, line: bytes) -> None:
    """Write a whole line, however long that takes, so that no other process's line lands inside of it.

    Workers that have to wait for the pipe do so one after the other, which also lets it run empty for a long line.

    Raises:
        OSError: The line, or the rest of it, cannot be written.
    """
    with _writing, _shared_lock(way):
        if way.kind == "pipe" and len(line) > ATOMIC:
            _wait_for_room(way, len(line))
        rest = memoryview(line)
        pause = _SHORTEST_PAUSE
        while rest:
            try:
                rest = rest[way.send(rest) :]
                pause = _SHORTEST_PAUSE
            except BlockingIOError:
                if not _poll(way.descriptor, _POLL_MILLISECONDS):
                    continue
                # `poll` said yes and the write said no (a terminal to which another thread writes): no busy loop.
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)


@contextmanager
def _shared_lock(way: Way) -> Iterator[None]:
    """A record lock on the output itself: every worker has it, and the kernel frees it however a process ends."""
    try:
        fcntl.lockf(way.descriptor, fcntl.LOCK_EX)
    except OSError:  # a kind of file or a sandbox without locks: long lines of two workers may tear, none is lost
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.lockf(way.descriptor, fcntl.LOCK_UN)


def _wait_for_room(way: Way, length: int) -> None:
    """Wait until a long line fits into the pipe by one write: only then are its bytes neighbours for certain.

    A short line of another worker needs no lock to be whole, and would land in the middle of one written in pieces.
    """
    needed = length // _PAGE + 2
    pages = _pages(way.descriptor, at_least=2 * needed)
    pause = _SHORTEST_PAUSE
    while not _gone(way.descriptor):
        unread = _unread(way.descriptor)
        # Two neighbouring pages of a pipe hold more than one page of data, else the kernel had merged them.
        if unread == 0 or 2 * unread // _PAGE + 2 + needed <= pages:
            return
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _pages(descriptor: int, at_least: int) -> int:
    """Capacity of a pipe; a small one is asked to grow, which the kernel does not always grant."""
    size = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    if size < at_least * _PAGE:
        with suppress(OSError):
            size = fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, min(_LARGEST_PIPE, at_least * _PAGE))
    return size // _PAGE


def _unread(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(answer, sys.byteorder)


def _poll(descriptor: int, milliseconds: int) -> int:
    """What is true of a descriptor within that time: events of `poll`, or 0."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return next((event for _, event in poll.poll(milliseconds)), 0)


def _gone(descriptor: int) -> bool:
    return bool(_poll(descriptor, 0) & (select.POLLERR | select.POLLNVAL))


def says_gone(error: OSError) -> bool:
    """Whether an error means that nobody will read this output."""
    return error.errno in {errno.EPIPE, errno.ECONNRESET, errno.EIO, errno.EBADF, errno.ENOTCONN}
