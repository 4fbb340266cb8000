"""Lines for Cloud Logging on disk while they wait (`SPOOL_DIRECTORY`)."""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from .api_sender import Payload, Queued, Spooled
from .entry import InsertIds

if TYPE_CHECKING:
    from ..spool.writer import Spool, Ticket

_SEPARATOR: Final = b"\0"


class SpooledLines:
    """One destination's lines.

    Args:
        spool: Theirs.
        add: Queues what a dead process has left: payload, bytes and severity; False when there is no room.
        room: Whether there is room for more of it.
        damaged: Takes how many lines of it cannot be read.
    """

    def __init__(
        self,
        spool: "Spool",
        add: Callable[[Payload, int, str], bool],
        room: Callable[[], bool],
        damaged: Callable[[int], None],
    ) -> None:
        self._spool = spool
        self._add = add
        self._ids = InsertIds()
        spool.attach(self._recovered, room, damaged)

    @property
    def live(self) -> int:
        """Lines on disk that are not delivered."""
        return self._spool.live

    def start(self) -> None:
        self._spool.start()

    def close(self, timeout: float) -> None:
        """Write what waits for the disk; what is not settled stays there."""
        self._spool.close(timeout)

    def put(self, line: bytes, severity: str) -> Payload:
        """The line as it is to be queued: on its way to disk, with an id and a time that stay its own."""
        insert_id, now = self._ids.next(), time.time_ns()
        parts = (severity.encode(), insert_id.encode(), str(now).encode(), line)
        ticket = self._spool.put(lambda: _SEPARATOR.join(parts), len(line))
        return line if ticket is None else Spooled(line, insert_id, now, ticket)

    def settle(self, payloads: Iterable[Payload]) -> None:
        """These are sent, or lost for good."""
        for payload in payloads:
            if not isinstance(payload, bytes) and payload.ticket is not None:
                self._spool.done(payload.ticket)

    def _recovered(self, origin: bytes | None, record: bytes, ticket: "Ticket") -> int:
        severity, insert_id, now, line = record.split(_SEPARATOR, 3)
        payload = Spooled(line, insert_id.decode(), int(now), ticket, origin or b"")
        if self._add(payload, len(line), severity.decode()):
            return 1
        self.settle([payload])
        return 0


def is_on_disk(held: Queued) -> bool:
    payload = held.payload
    return not isinstance(payload, bytes) and payload.ticket is not None and payload.ticket.segment is not None
