"""Spans on disk while they wait: made and encoded in the spool's thread, once, whoever needs them first."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from .buffer import Buffer, Waiting
from .encoding import Encoded, pack, unpack

if TYPE_CHECKING:
    from ..settings import Settings
    from ..spool.writer import Spool, Ticket

# What an encoded span holds beside its bytes.
_SPAN_BYTES: Final = 200


def spooled(settings: "Settings") -> "Spool | None":
    """The spool of spans; None without one."""
    if settings.spool is None:
        return None
    destination: list[str | bool] = [
        settings.google_cloud_project,
        settings.otlp_traces_endpoint,
        bool(settings.cloudops_emulator_host),
    ]
    return settings.spool.of("traces", destination)


class Secured:
    """Puts spans on disk before they wait, and brings back those of dead processes.

    Args:
        spool: Theirs.
        encode: Encodes spans; may wait until it is known who sends them.
        put: Takes what was brought back.
        buffer: Where spans wait.
        dropped: Called with a reason and a number of spans.
    """

    def __init__(
        self,
        spool: "Spool",
        encode: Callable[[Sequence[Any]], list[Encoded]],
        put: Callable[[Waiting], None],
        buffer: Buffer,
        dropped: Callable[[str, int], None],
    ) -> None:
        self._spool = spool
        self._encode = encode
        self._put = put
        spool.attach(self._recovered, lambda: buffer.has_room, lambda count: dropped("undelivered", count))

    def start(self) -> None:
        self._spool.start()

    def __call__(self, waiting: Waiting) -> Waiting:
        """The same spans, on their way to disk."""
        once = _Once(waiting.spans, self._encode)
        error = waiting.error
        ticket = self._spool.put(lambda: pack(once(), error=error), waiting.size, waiting.count)
        return waiting if ticket is None else replace(waiting, spans=once, ticket=ticket)

    def _recovered(self, _origin: bytes | None, record: bytes, ticket: "Ticket") -> int:
        spans, error = unpack(record)
        size = len(record) + _SPAN_BYTES * len(spans)
        self._put(Waiting(lambda: spans, len(spans), size, error=error, ticket=ticket))
        return len(spans)


class _Once:
    """Spans, made and encoded by the first who asks."""

    def __init__(self, make: Callable[[], list[Any]], encode: Callable[[Sequence[Any]], list[Encoded]]) -> None:
        self._make = make
        self._encode = encode
        self._lock = threading.Lock()
        self._made: list[Encoded] | None = None

    def __call__(self) -> list[Encoded]:
        with self._lock:
            if self._made is None:
                self._made = self._encode(self._make())
            return self._made
