"""Lines that have to wait: in bounded memory, in order, and when it is full the least severe go first."""

import atexit
import re
import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, NamedTuple, TypeVar

import orjson

from .. import guard

BUFFER_BYTES: Final = 16 * 2**20
#: What one waiting line costs beside its bytes.
OVERHEAD_BYTES: Final = 200
_EXIT_SECONDS: Final = 2.0

# Least severe first; a line that does not say counts as INFO (google/logging/type/log_severity.proto has the names).
_SEVERITIES: Final = ("DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
#: For lines that are never dropped for others, whatever they say: audit entries.
KEPT: Final = "AUDIT"
_RANK: Final = {**{name: rank for rank, name in enumerate((*_SEVERITIES, KEPT))}, "DEFAULT": 1}
_NAMES: Final = frozenset(_SEVERITIES)
# Within a text the quotation marks are escaped, so that this is a key wherever it stands.
_SEVERITY: Final = re.compile(rb'"severity": ?"([A-Z]*)"')

Payload = TypeVar("Payload")


def severity_of(line: bytes) -> str:
    """The severity that a rendered entry names; DEFAULT when it names none. Never raises."""
    found = _SEVERITY.findall(line)
    if len(found) > 1:  # a field of the caller's holds one too: only the outermost counts
        return _parsed_severity(line)
    name = found[0].decode() if found else "DEFAULT"
    return name if name in _NAMES else "DEFAULT"


def _parsed_severity(line: bytes) -> str:
    try:
        name = orjson.loads(line).get("severity")
    except (ValueError, AttributeError):
        return "DEFAULT"
    return name if isinstance(name, str) and name in _NAMES else "DEFAULT"


class Held(NamedTuple, Generic[Payload]):
    """One waiting line; `order` is its place in the line, `size` what it takes of the bound."""

    order: int
    size: int
    severity: str
    payload: Payload


class Backlog(Generic[Payload]):
    """A queue bounded in bytes, whose overflow costs the oldest of the least severe. Not thread-safe.

    What is `KEPT` costs all others before it costs itself, and then the newest: what was promised stays.

    Args:
        limit: Bytes that may wait.
        gave_up: Called with each payload that the overflow costs.
    """

    def __init__(self, limit: int, gave_up: Callable[[Payload], None] | None = None) -> None:
        self._limit = limit
        self._gave_up = gave_up
        self._queues: list[deque[Held[Payload]]] = [deque() for _ in (*_SEVERITIES, KEPT)]
        self._count = 0
        self._next = 0
        self._kept = 0
        self.bytes = 0
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    @property
    def has_room(self) -> bool:
        """Whether there is room for what another process has left."""
        return self.bytes < self._limit // 2

    def add(self, payload: Payload, length: int, severity: str) -> bool:
        """Queue one; False when it is `KEPT` and there is no room left that others could give up."""
        size = length + OVERHEAD_BYTES
        if severity == KEPT:
            if self._kept + size > self._limit:
                return False
            self._kept += size
        self._queues[_RANK[severity]].append(Held(self._next, size, severity, payload))
        self._next += 1
        self._count += 1
        self.bytes += size
        if self.bytes > self._limit:
            self._shrink()
        return True

    def take(self, length: int, most: int = sys.maxsize) -> list[Held[Payload]]:
        """The next in order: one in any case, and more as long as their payloads are `length` bytes in sum."""
        taken: list[Held[Payload]] = []
        while len(taken) < most and (queue := self._first()):
            length -= queue[0].size - OVERHEAD_BYTES
            if taken and length < 0:
                break
            held = queue.popleft()
            self._forget(held)
            taken.append(held)
        self._count -= len(taken)
        return taken

    def _first(self) -> deque[Held[Payload]] | None:
        return min((queue for queue in self._queues if queue), key=lambda queue: queue[0].order, default=None)

    def put_back(self, items: Iterable[Held[Payload]]) -> None:
        """Return what was taken, perhaps in another form, to its place before everything later."""
        for held in sorted(items, key=lambda held: held.order, reverse=True):
            self._queues[_RANK[held.severity]].appendleft(held)
            self._count += 1
            self.bytes += held.size
            self._kept += held.size if held.severity == KEPT else 0
        self._shrink()

    def take_kept(self) -> list[Held[Payload]]:
        """All that is `KEPT`, out of its turn."""
        taken = list(self._queues[-1])
        self._queues[-1].clear()
        self._count -= len(taken)
        for held in taken:
            self._forget(held)
        return taken

    def _forget(self, held: Held[Payload]) -> None:
        self.bytes -= held.size
        self._kept -= held.size if held.severity == KEPT else 0

    def _shrink(self) -> None:
        for queue in self._queues[:-1]:
            while queue and self.bytes > self._limit:
                held = queue.popleft()
                self._forget(held)
                self._count -= 1
                self.dropped[held.severity] += 1
                if self._gave_up is not None:
                    self._gave_up(held.payload)


class Spill:
    """Writes lines in order from a thread of its own, which starts with the first of them.

    Args:
        write: Writes whole lines; may wait. OSError: they cannot be written.
        limit: Bytes that may wait.
        together: Lines up to this length in sum are written at once.
        rescue: Takes a `KEPT` line that cannot be written; False when it cannot either.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        limit: int = BUFFER_BYTES,
        *,
        together: int = 0,
        rescue: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._write = write
        self._rescue = rescue
        self._limit = limit
        self._together = together
        self._failed: Counter[str] = Counter()
        self._at_exit = False
        self.lines = 0
        self.bytes = 0
        self._begin()

    def _begin(self) -> None:
        #: Guards everything here; notified whenever `active` may have changed.
        self.changed = threading.Condition()
        self._backlog: Backlog[bytes] = Backlog(self._limit)
        self._current: list[Held[bytes]] = []
        self._rest = b""
        self._thread: threading.Thread | None = None
        self._closing = False
        self._failing = False
        #: Whether lines wait or are being written: a later line has to queue behind them.
        self.active = False

    def start_clean(self) -> None:
        """After a fork: lines and thread are the parent's, and whoever held the lock does not exist in the child."""
        self._failed += self._backlog.dropped  # totals never go back
        self._begin()

    @property
    def dropped(self) -> Counter[str]:
        """Lines lost by severity: there was no room for them, or they could not be written."""
        with self.changed:
            return self._failed + self._backlog.dropped

    @property
    def waiting(self) -> int:
        """Lines that are not written yet, with those that are being written."""
        return len(self._backlog) + len(self._current) + bool(self._rest)

    def put(self, line: bytes, severity: str = "") -> bool:
        """Queue a line, of its own severity or as `KEPT`; never waits. False: as `Backlog.add`."""
        severity = severity or severity_of(line)
        with self.changed:
            added = self._backlog.add(line, len(line), severity)
            self._wake()
        return added

    def finish(self, rest: bytes) -> None:
        """Write the rest of a line that was begun, before anything else; the caller holds `changed`."""
        self._rest = rest
        self._wake()

    def flush(self, timeout: float) -> bool:
        """Wait until everything is written; False when that takes longer than `timeout` seconds."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.active, timeout)

    def close(self, timeout: float) -> bool:
        """Flush and end the thread; the next line starts another."""
        deadline = time.monotonic() + timeout
        flushed = self.flush(timeout)
        with self.changed:
            thread, self._closing = self._thread, True
            self.changed.notify_all()
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
        return flushed

    def rescue(self) -> None:
        """The end has come, and nobody reads: what is `KEPT` goes elsewhere, what is being written too."""
        with self.changed:
            taken = [held for held in self._current if held.severity == KEPT] + self._backlog.take_kept()
        for held in taken:
            self._lose(held)

    def _lose(self, held: Held[bytes]) -> None:
        if held.severity == KEPT and self._rescue is not None and self._rescue(held.payload):
            return
        with self.changed:
            self._failed[held.severity] += 1

    def _wake(self) -> None:
        self.active = True
        self._closing = False
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="fastapi-cloudops-stdout", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is ending: the next line tries again
                guard.caught("stdout", error)
                return
            self._thread = thread
            if not self._at_exit:
                self._at_exit = True
                atexit.register(_flush_at_exit, weakref.ref(self))
        self.changed.notify_all()

    def _run(self) -> None:
        while lines := self._next():
            try:
                self._write(b"".join([held.payload for held in lines]))
            except Exception as error:  # noqa: BLE001  # the thread goes on whatever one line meets
                self._lost(lines, error)
            else:
                self._failing = False
                self.lines += len(lines)
                self.bytes += sum(len(held.payload) for held in lines)

    def _next(self) -> list[Held[bytes]]:
        """The next lines, when there are any; empty when the thread has to end."""
        with self.changed:
            self._current = []
            while not self._rest and not self._backlog:
                self.active = False
                self.changed.notify_all()
                if self._closing:
                    self._thread = None
                    return []
                self.changed.wait()
            if self._rest:
                rest, self._rest = self._rest, b""
                return [Held(-1, 0, severity_of(rest), rest)]
            self._current = self._backlog.take(self._together)
            return self._current

    def _lost(self, lines: list[Held[bytes]], error: Exception) -> None:
        for held in lines:
            self._lose(held)
        if not self._failing:  # told once for all the lines that meet the same end
            self._failing = True
            guard.caught("stdout", error)


def _flush_at_exit(reference: "weakref.ref[Spill]") -> None:
    spill = reference()
    if spill is not None and not spill.flush(_EXIT_SECONDS):
        spill.rescue()
