"""The sending thread's half of the destination `api`: lines become entries, entries become requests."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from .. import guard
from ..metrics.wire import message
from .entry import InsertIds
from .resource import Resource
from .spill import KEPT, OVERHEAD_BYTES, Held

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..spool.writer import Ticket
    from .api_connection import Connection, Failure

_CALL_SECONDS: Final = 10.0
_ENTRIES_FIELD: Final = 4  # google/logging/v2/logging.proto, WriteLogEntriesRequest.entries
# Turning a thousand lines into entries takes a while; the event loop gets its turn in between.
_CONVERT_AT_ONCE: Final = 8
#: What the client itself logs is not sent by the client: each record would cause the next.
_OWN_LOGGERS: Final = ("grpc.", "google.auth.", "google.api_core.", "google.cloud.logging.", "google.cloud.logging_v2.")


class Spooled(NamedTuple):
    """A line that is on disk too, with what makes it the same entry in another process.

    `origin` is the target of the process that has left it, as `packed_target`; empty: this process.
    """

    line: bytes
    insert_id: str
    time_ns: int
    ticket: "Ticket"
    origin: bytes = b""


class Ready(NamedTuple):
    """A serialised LogEntry, which keeps its insertId however often it is sent; its line where that may be needed."""

    entry: bytes
    line: bytes = b""
    ticket: "Ticket | None" = None


Payload = bytes | Spooled | Ready
Queued = Held[Payload]
Target = tuple[str, str, Resource]


def line_of(payload: Payload) -> bytes:
    return payload if isinstance(payload, bytes) else payload.line


def packed_target(target: Target) -> bytes:
    """Project, log id and resource, for the spool."""
    project, log_id, resource = target
    return orjson.dumps([project, log_id, resource.type, dict(resource.labels)])


@dataclass(slots=True)
class Converted:
    """What became of a batch: what one request takes, what it does not, and what is not to be sent."""

    ready: list[Queued] = field(default_factory=list)
    rest: list[Queued] = field(default_factory=list)
    own: list[Queued] = field(default_factory=list)
    broken: list[Queued] = field(default_factory=list)


class Sender:
    """Used by one thread, but for `close`.

    Args:
        target: Project (empty: that of the credentials), log id and resource.
        emulator_host: `host:port`; empty: Google Cloud.
        connect: Opens a connection; None: `api_connection.connect`.
        most_bytes: Of one request.
    """

    def __init__(
        self,
        target: Target,
        emulator_host: str,
        connect: "Callable[[str, str], Connection] | None",
        most_bytes: int,
    ) -> None:
        self._target = target
        self._emulator_host = emulator_host
        self._connect = connect
        self._most = most_bytes
        self._ids = InsertIds()
        self._prefix = b""
        self._origins: dict[bytes, bytes] = {packed_target(target): b"", b"": b""}
        self.connection: Connection | None = None

    def convert(self, batch: list[Queued]) -> Converted:
        """Serialise what is not serialised yet, as much as one request takes."""
        from . import api_entry  # noqa: PLC0415  # loads Google's client, which only this thread needs

        result = Converted()
        total = 0
        for number, held in enumerate(batch):
            payload, one = held.payload, held
            if not isinstance(payload, Ready):
                if number % _CONVERT_AT_ONCE == 0:
                    time.sleep(0)
                try:
                    line = line_of(payload)
                    fields = api_entry.parse(line)
                    if fields is not None and _is_own(fields.get("logger")):
                        result.own.append(held)
                        continue
                    if isinstance(payload, Spooled):
                        entry = api_entry.serialise(line, fields, payload.insert_id, payload.time_ns)
                        entry += self._belonging(payload.origin)
                        ticket = payload.ticket
                    else:
                        entry, ticket = api_entry.serialise(line, fields, self._ids.next(), time.time_ns()), None
                except Exception as error:  # noqa: BLE001  # one line costs no other
                    guard.caught("logs", error)
                    result.broken.append(held)
                    continue
                one = held._replace(
                    payload=Ready(entry, line if held.severity == KEPT else b"", ticket),
                    size=len(entry) + OVERHEAD_BYTES,
                )
            if result.ready and total + one.size > self._most:
                result.rest = [one, *batch[number + 1 :]]
                break
            total += one.size
            result.ready.append(one)
        return result

    def _belonging(self, origin: bytes) -> bytes:
        """What an entry of another process says of its log and resource, where that is not the request's."""
        from .api_entry import belonging  # noqa: PLC0415  # as in convert

        if origin not in self._origins:
            project, log_id, kind, labels = orjson.loads(origin)
            self._origins[origin] = belonging(project, log_id, Resource(kind, labels))
        return self._origins[origin]

    def send(self, ready: list[Queued]) -> "Failure | None":
        """Send converted entries in one call. Connects first where there is no connection yet."""
        from .api_connection import Failure, connect  # noqa: PLC0415  # as in convert
        from .api_entry import request_prefix  # noqa: PLC0415  # as in convert

        if self.connection is None:
            project, log_id, resource = self._target
            try:
                connection = (self._connect or connect)(project, self._emulator_host)
            except Exception as error:  # noqa: BLE001  # no credentials, or a broken installation: told, tried again
                return Failure("UNAVAILABLE", f"no connection: {type(error).__name__}: {error}".partition("\n")[0])
            self._prefix = request_prefix(connection.project, log_id, resource)
            self.connection = connection
        entries = (message(_ENTRIES_FIELD, one.payload.entry) for one in ready if isinstance(one.payload, Ready))
        try:
            return self.connection.write(self._prefix + b"".join(entries), _CALL_SECONDS)
        except Exception as error:  # noqa: BLE001  # whatever a client meets, the entries stay
            return Failure("UNKNOWN", f"{type(error).__name__}: {error}".partition("\n")[0])

    def close(self) -> None:
        """End the connection, and a call that is under way."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


def _is_own(logger: object) -> bool:
    return isinstance(logger, str) and f"{logger}.".startswith(_OWN_LOGGERS)
