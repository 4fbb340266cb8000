"""google.logging.v2.LoggingServiceV2: both wires end here."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from google.cloud.logging_v2.types import (
    ListLogEntriesResponse,
    ListLogsResponse,
    ListMonitoredResourceDescriptorsResponse,
    WriteLogEntriesRequest,
    WriteLogEntriesResponse,
)
from google.protobuf.empty_pb2 import Empty

from ..clock import NANOS
from ..monitoring.resources import descriptor_of, resource_types
from ..paging import page_of
from ..project import Context
from ..status import ApiError, invalid, missing_field, not_found
from .config_rules import compiled
from .config_service import ConfigService
from .pages import Key, fingerprint, page_size, read_token, token
from .query import Query
from .record import Record
from .regex import TooExpensiveError
from .scope import Scope
from .store import EntryStore
from .tail import Tails
from .validation import canonical_log_name, checked
from .write_errors import refusal

ENTRIES = "logging.entries"
DELETE = "logging.delete_log"

_DAY = 86_400 * NANOS
_PARENTS = 1000  # "a maximum of 1000 different resources" (logging.proto, WriteLogEntriesRequest.entries)
_FORGET_EVERY = 5000
# Other calls wait meanwhile, so a search stops here and says where the next page goes on.
_SEARCH_SECONDS = 0.7

Watcher = Callable[[Sequence[Record]], bool]
"""Told of accepted entries, in the order of their write; `record.buckets` says where they are stored, perhaps nowhere.
Answers whether it made something of them: then they are journalled even when no bucket stores them."""


class LoggingService:
    """The methods of LoggingServiceV2, over one project's entries.

    `derive` watchers hear of entries again when the journal is read; `watchers` hear only of entries being written.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        switches = context.switches
        self.store = EntryStore(switches.log_entries_kept, switches.log_bytes_kept)
        self.config = ConfigService(context, self.store)
        self.tails = Tails(context, self.config.buckets)
        self.derive: list[Watcher] = []
        self.watchers: list[Callable[[Sequence[Record]], None]] = [self.tails.offer]
        self._accepted = 0
        self._forgotten = 0

    def write_log_entries(self, request: Any) -> Any:
        self._check_request(request)
        good: list[Any] = []
        errors: dict[int, ApiError] = {}
        for index, entry in enumerate(request.entries):
            try:
                good.append(checked(entry, request, self._context))
            except ApiError as error:
                if not request.partial_success:
                    raise refusal({index: error}, stored=0) from None
                errors[index] = error
        if good and not request.dry_run:
            self._accept(good)
        if errors:
            raise refusal(errors, stored=len(good), partial=True)
        return WriteLogEntriesResponse.pb()()

    def list_log_entries(self, request: Any) -> Any:
        scope = self._scope(request.resource_names)
        descending = _descending(request.order_by)
        size = page_size(request.page_size)
        query = compiled(request.filter)
        bound_to = fingerprint(request.filter, str(descending), *request.resource_names)
        after = read_token(request.page_token, bound_to) if request.page_token else None
        found, at = self._search(query, scope, after, size + 1, descending=descending)
        response = ListLogEntriesResponse.pb()(entries=[record.entry for record in found[:size]])
        if len(found) > size:
            at = found[size - 1].key
        if at is not None:
            response.next_page_token = token(at, bound_to)
        return response

    def tail_log_entries(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        return self.tails.follow(requests)

    def list_logs(self, request: Any) -> Any:
        given = [request.parent, *request.resource_names] if request.parent else request.resource_names
        scope = self._scope(given, "parent")
        size = page_size(request.page_size)
        bound_to = fingerprint(request.parent, *request.resource_names)
        names = self.store.log_names(scope.holds if any("/buckets/" in name for name in given) else None)
        if request.page_token:
            last = read_token(request.page_token, bound_to)[1]
            names = [name for name in names if name > last]
        response = ListLogsResponse.pb()(log_names=names[:size])
        if len(names) > size:
            response.next_page_token = token((0, names[size - 1]), bound_to)
        return response

    def delete_log(self, request: Any) -> Empty:
        """Delete what the bucket _Default has of a log: other buckets keep it (logging.proto, DeleteLog)."""
        name = canonical_log_name(request.log_name, self._context)
        if name not in self.store.log_names():
            raise not_found(f"Log {name.rpartition('/')[2]} does not exist")
        self._context.journal.append(DELETE, name.encode())
        self.store.delete(name, self.config.buckets.default)
        return Empty()

    def list_monitored_resource_descriptors(self, request: Any) -> Any:
        known = [descriptor_of(resource, "") for resource in resource_types().values()]
        for descriptor in known:
            # "APIs that do not use project information" name them so (google/api/monitored_resource.proto).
            descriptor.name = descriptor.name.lstrip("/")
        page, next_page = page_of(known, request.page_size, request.page_token, 1000)
        return ListMonitoredResourceDescriptorsResponse.pb()(resource_descriptors=page, next_page_token=next_page)

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a record of the journal, which was checked when it was written."""
        if kind == DELETE:
            self.store.delete(record.decode(), self.config.buckets.default)
        elif kind == ENTRIES:
            entries = list(WriteLogEntriesRequest.pb().FromString(record).entries)
            records = self._routed(entries, entries[0].receive_timestamp.ToNanoseconds())
            for watcher in self.derive:
                watcher(records)
            for record_of_entry, entry in zip(records, entries, strict=True):
                record_of_entry.pack(entry.SerializeToString(), now=False)
            self._keep(records)
        elif not self.config.restore(kind, record):
            raise ValueError(f"the journal holds a record of an unknown kind: {kind}")

    def _scope(self, names: Any, field: str = "resource_names") -> Scope:
        return Scope(names, self.config.buckets, self._context, field)

    def _check_request(self, request: Any) -> None:
        if not request.entries:
            raise missing_field("entries")
        limit = self._context.switches.log_request_bytes
        if limit and request.ByteSize() > limit:
            raise invalid(f"Request payload size exceeds the limit: {limit} bytes.")
        names = {entry.log_name for entry in request.entries}
        if len(names) > _PARENTS and len({name.partition("/logs/")[0] for name in names}) > _PARENTS:
            raise invalid(f"A maximum of {_PARENTS} different resources can be written to in one request.")

    def _accept(self, entries: list[Any]) -> None:
        now = self._context.clock.now()
        self.config.buckets.sweep()
        for offset, entry in enumerate(entries):
            entry.receive_timestamp.FromNanoseconds(now)
            if not entry.HasField("timestamp"):
                entry.timestamp.FromNanoseconds(now)
            if not entry.insert_id:
                # Rising, so that entries without a timestamp are listed in the order of their request.
                entry.insert_id = f"{now:016x}{self._accepted + offset:012x}"
        records = self._routed(entries, now)
        made = [watcher(records) for watcher in self.derive]
        serialized = [entry.SerializeToString() for entry in entries]
        if any(made) or any(record.buckets for record in records):
            # Before the answer, not before the watchers: nothing of theirs is seen until this call returns.
            until = max(record.time for record in records)
            self._context.journal.append(ENTRIES, _request_of(serialized), max(until, 1))
        for watcher in self.watchers:
            watcher(records)
        for record, raw in zip(records, serialized, strict=True):
            record.pack(raw)
        self._keep(records)
        if self.store.evicted + self.store.expired - self._forgotten > _FORGET_EVERY:
            self.forget()

    def sweep(self) -> None:
        """Let go of entries that no bucket shows any more."""
        self.config.buckets.sweep()
        now = self._context.clock.now()
        self.store.expire(self.config.buckets.receiving(now))
        self.forget()

    def forget(self) -> None:
        """Take what is gone out of the journal too."""
        gone = self.store.evicted + self.store.expired
        if gone != self._forgotten:
            self._forgotten = gone
            self._context.journal.forget(ENTRIES, self.store.gone_until)

    def _routed(self, entries: list[Any], now: int) -> list[Record]:
        receiving = self.config.buckets.receiving(now)
        records = []
        for entry in entries:
            record = Record(entry)
            record.buckets = self.config.sinks.route(record, receiving)
            # Later than tomorrow: exported by sinks, never listed (log_entry.proto, `timestamp`).
            if record.time > now + _DAY:
                record.buckets = ()
            records.append(record)
        return records

    def _keep(self, records: list[Record]) -> None:
        self._accepted += len(records)
        self.store.add([record for record in records if record.buckets])

    def _search(
        self, query: Query, scope: Scope, after: Key | None, limit: int, *, descending: bool
    ) -> tuple[list[Record], tuple[int, str] | None]:
        """What was found, and where the search stopped because it took too long."""
        start, end = max(query.start, scope.start), query.end
        if after is not None:
            start, end = (start, min(end, after.time)) if descending else (max(start, after.time), end)
        records = self.store.window(start, end)
        found: list[Record] = []
        deadline = time.perf_counter() + _SEARCH_SECONDS
        for record in reversed(records) if descending else records:
            if after is not None and (record.key >= after if descending else record.key <= after):
                continue
            try:
                matches = query.matches(record)
            except TooExpensiveError as error:
                raise invalid(f"Unparseable filter: {error}") from None
            if matches and scope.holds(record):
                found.append(record)
                if len(found) == limit:
                    break
            if time.perf_counter() > deadline:
                return found, record.key
        return found, None


def _request_of(entries: list[bytes]) -> bytes:
    """A WriteLogEntriesRequest of serialized entries: field 4, without making the messages again."""
    parts: list[bytes | bytearray] = []
    for entry in entries:
        size, head = len(entry), bytearray(b"\x22")
        while size > 0x7F:  # noqa: PLR2004  # protobuf.dev/programming-guides/encoding, "Base 128 Varints"
            head.append(size & 0x7F | 0x80)
            size >>= 7
        head.append(size)
        parts += [head, entry]
    return b"".join(parts)


def _descending(order_by: str) -> bool:
    order = " ".join(order_by.split()).lower()
    if order not in {"", "timestamp", "timestamp asc", "timestamp desc"}:
        raise invalid(f"order_by '{order_by}' is neither 'timestamp asc' nor 'timestamp desc'.")
    return order == "timestamp desc"
