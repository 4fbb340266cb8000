"""Finished spans that wait for export: bounded in bytes, and errors are given up last."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..spool.writer import Ticket

#: What a span holds beside the texts in it.
_SPAN_BYTES: Final = 600
_ENTRY_BYTES: Final = 80


@dataclass(frozen=True, slots=True)
class Waiting:
    """Spans of one request, or a single one, as the exporter takes them."""

    #: Makes the spans; called in the exporter's thread.
    spans: Callable[[], list[Any]]
    count: int
    size: int
    #: Whether they are of a request that failed.
    error: bool
    #: Where they are on disk, with a spool.
    ticket: "Ticket | None" = None


def size_of(span: Any) -> int:
    """About how many bytes a span of the SDK holds."""
    size = _SPAN_BYTES + _texts(span.attributes)
    for event in span.events:
        size += _ENTRY_BYTES + _texts(event.attributes)
    return size + _ENTRY_BYTES * len(span.links)


def _texts(attributes: Any) -> int:
    size = 0
    for key, value in (attributes or {}).items():
        size += _ENTRY_BYTES + len(key)
        if isinstance(value, str | bytes | tuple | list):
            size += len(value) if isinstance(value, str | bytes) else sum(map(len, map(str, value)))
    return size


class Buffer:
    """Spans that wait, and room for spans whose request is still open.

    Args:
        limit: Bytes that may wait, as `size_of` counts them.
        dropped: Called with a reason and a number of spans.
        settled: Called with the ticket of what is sent, or lost.
    """

    def __init__(
        self, limit: int, dropped: Callable[[str, int], None], settled: "Callable[[Ticket], None] | None" = None
    ) -> None:
        self._limit = limit
        self._dropped = dropped
        self._settled = settled
        # Reentrant: garbage collection may end a span anywhere, also between two lines that hold the lock.
        self._lock = threading.RLock()
        self._errors: deque[Waiting] = deque()
        self._others: deque[Waiting] = deque()
        #: Bytes that wait or are held, and spans that wait.
        self.used = self.count = 0

    def reserve(self, size: int) -> bool:
        """Room for a span that is held back; False when there is none, even without the spans of good requests."""
        with self._lock:
            if not self._make_room(size, error=False):
                return False
            self.used += size
            return True

    @property
    def has_room(self) -> bool:
        """Whether there is room for what another process has left."""
        return self.used < self._limit // 2

    def give_back(self, size: int) -> None:
        with self._lock:
            self.used -= size

    def put(self, waiting: Waiting) -> None:
        with self._lock:
            if not self._make_room(waiting.size, error=waiting.error):
                self._dropped("overflow", waiting.count)
                self._settle(waiting)
                return
            (self._errors if waiting.error else self._others).append(waiting)
            self.used += waiting.size
            self.count += waiting.count

    def take(self, most: int, most_bytes: int) -> list[Waiting]:
        """The oldest ones, errors first, of so many spans and bytes, one at least.

        Their bytes go on counting until they are `done`.
        """
        taken: list[Waiting] = []
        spans = size = 0
        with self._lock:
            for waiting in (self._errors, self._others):
                while waiting and (
                    not taken or (spans + waiting[0].count <= most and size + waiting[0].size <= most_bytes)
                ):
                    one = waiting.popleft()
                    taken.append(one)
                    spans += one.count
                    size += one.size
            self.count -= spans
        return taken

    def done(self, taken: list[Waiting]) -> None:
        """These are sent, or lost."""
        with self._lock:
            self.used -= sum(one.size for one in taken)
        for one in taken:
            self._settle(one)

    def put_back(self, taken: list[Waiting]) -> None:
        """These could not be sent yet."""
        with self._lock:
            for one in reversed(taken):
                (self._errors if one.error else self._others).appendleft(one)
                self.count += one.count
            self._make_room(0, error=True)

    def clear(self) -> int:
        """Forget everything, but for what is on disk; how many spans that were."""
        with self._lock:
            count = self.count
            self.used -= sum(one.size for one in (*self._errors, *self._others))
            self._errors.clear()
            self._others.clear()
            self.count = 0
        return count

    def in_child_after_fork(self) -> None:
        """The parent sends what it has; its locks may be held by threads that do not exist here."""
        self._lock = threading.RLock()
        self._errors.clear()
        self._others.clear()
        self.used = self.count = 0

    def _make_room(self, size: int, *, error: bool) -> bool:
        while self.used + size > self._limit:
            queue = self._others or (self._errors if error else None)
            if not queue:
                return False
            oldest = queue.popleft()
            self.used -= oldest.size
            self.count -= oldest.count
            self._dropped("overflow", oldest.count)
            self._settle(oldest)
        return True

    def _settle(self, waiting: Waiting) -> None:
        if waiting.ticket is not None and self._settled is not None:
            self._settled(waiting.ticket)
