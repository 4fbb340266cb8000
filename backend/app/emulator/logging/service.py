"""google.logging.v2.LoggingServiceV2: both wires end here."""

import base64
import binascii
import hashlib
from typing import Any, NamedTuple

from google.cloud.logging_v2.types import (
    ListLogEntriesResponse,
    ListLogsResponse,
    WriteLogEntriesPartialErrors,
    WriteLogEntriesRequest,
    WriteLogEntriesResponse,
)
from google.protobuf.empty_pb2 import Empty
from google.protobuf.text_format import MessageToString
from google.rpc.error_details_pb2 import DebugInfo

from ..clock import NANOS
from ..names import require_project
from ..project import Context
from ..status import ApiError, Code, invalid, missing_field, not_found
from .query import MAXIMUM_LENGTH, Query, compile_query
from .record import Record
from .store import EntryStore
from .syntax import FilterError
from .validation import canonical_log_name, checked

ENTRIES = "logging.entries"
DELETE = "logging.delete_log"

_DAY = 86_400 * NANOS
_PARENTS = 1000  # "a maximum of 1000 different resources" (logging.proto, WriteLogEntriesRequest.entries)
_RESOURCE_NAMES = 100
_DEFAULT_PAGE = 50
_LARGEST_PAGE = 1000


class LoggingService:
    """The methods of LoggingServiceV2, over one project's entries."""

    def __init__(self, context: Context) -> None:
        self._context = context
        switches = context.switches
        self.store = EntryStore(switches.log_entries_kept, switches.log_bytes_kept)
        self._accepted = 0

    def write_log_entries(self, request: Any) -> Any:
        self._check_request(request)
        good: list[Any] = []
        errors: dict[int, ApiError] = {}
        for index, entry in enumerate(request.entries):
            try:
                good.append(checked(entry, request, self._context))
            except ApiError as error:
                if not request.partial_success:
                    raise _refusal({index: error}, stored=0) from None
                errors[index] = error
        if good and not request.dry_run:
            self._accept(good)
        if errors:
            raise _refusal(errors, stored=len(good), partial=True)
        return WriteLogEntriesResponse.pb()()

    def list_log_entries(self, request: Any) -> Any:
        for name in _resource_names(request.resource_names):
            require_project(name, self._context.project_id, self._context.project_number, "resource_names")
        descending = _descending(request.order_by)
        size = _page_size(request.page_size)
        if len(request.filter) > MAXIMUM_LENGTH:
            raise invalid(f"Unparseable filter: it has more than {MAXIMUM_LENGTH} characters.")
        try:
            query = compile_query(request.filter)
        except FilterError as error:
            raise invalid(f"Unparseable filter: {error}") from None
        bound_to = _fingerprint(request.filter, str(descending), *request.resource_names)
        after = _read_token(request.page_token, bound_to) if request.page_token else None
        found = self._search(query, after, size + 1, descending=descending)
        response = ListLogEntriesResponse.pb()(entries=[record.entry for record in found[:size]])
        if len(found) > size:
            response.next_page_token = _token(found[size - 1].key, bound_to)
        return response

    def list_logs(self, request: Any) -> Any:
        for name in _resource_names(
            [request.parent, *request.resource_names] if request.parent else request.resource_names
        ):
            require_project(name, self._context.project_id, self._context.project_number, "parent")
        size = _page_size(request.page_size)
        bound_to = _fingerprint(request.parent, *request.resource_names)
        names = self.store.log_names()
        if request.page_token:
            last = _read_token(request.page_token, bound_to)[1]
            names = [name for name in names if name > last]
        response = ListLogsResponse.pb()(log_names=names[:size])
        if len(names) > size:
            response.next_page_token = _token((0, names[size - 1]), bound_to)
        return response

    def delete_log(self, request: Any) -> Empty:
        name = canonical_log_name(request.log_name, self._context)
        if name not in self.store.log_names():
            raise not_found(f"Log {name.rpartition('/')[2]} does not exist")
        self._context.journal.append(DELETE, name.encode())
        self.store.delete(name)
        return Empty()

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a record of the journal, which was checked when it was written."""
        if kind == DELETE:
            self.store.delete(record.decode())
            return
        self._keep(list(WriteLogEntriesRequest.pb().FromString(record).entries))

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
        oldest = now - round(self._context.switches.log_retention_days * _DAY)
        listed = []
        for offset, entry in enumerate(entries):
            entry.receive_timestamp.FromNanoseconds(now)
            if not entry.HasField("timestamp"):
                entry.timestamp.FromNanoseconds(now)
            if not entry.insert_id:
                # Rising, so that entries without a timestamp are listed in the order of their request.
                entry.insert_id = f"{now:016x}{self._accepted + offset:012x}"
            # Later than tomorrow or older than the retention: accepted, never listed (log_entry.proto, `timestamp`).
            if oldest <= entry.timestamp.ToNanoseconds() <= now + _DAY:
                listed.append(entry)
        if listed:
            record = WriteLogEntriesRequest.pb()(entries=listed)
            self._context.journal.append(ENTRIES, record.SerializeToString())
            self._keep(listed)

    def _keep(self, entries: list[Any]) -> None:
        self._accepted += len(entries)
        self.store.add([Record(entry, entry.ByteSize()) for entry in entries])

    def _search(self, query: Query, after: "_Key | None", limit: int, *, descending: bool) -> list[Record]:
        start, end = query.start, query.end
        if after is not None:
            start, end = (start, min(end, after.time)) if descending else (max(start, after.time), end)
        records = self.store.window(start, end)
        found: list[Record] = []
        for record in reversed(records) if descending else records:
            if after is not None and (record.key >= after if descending else record.key <= after):
                continue
            if query.matches(record):
                found.append(record)
                if len(found) == limit:
                    break
        return found


class _Key(NamedTuple):
    time: int
    name: str


def _refusal(errors: dict[int, ApiError], stored: int, *, partial: bool = False) -> ApiError:
    """The status of a refused write: the first bad entry's, with its index where python-logging looks for it.

    `WriteLogEntriesPartialErrors` comes only when other entries were written (logging.proto, `partial_success`).
    """
    first = next(iter(errors.values()))
    if partial and not stored:
        return ApiError(first.code, first.message)
    listing = WriteLogEntriesPartialErrors.pb()()
    for index, error in errors.items():
        status = listing.log_entry_errors[index]
        status.code, status.message = int(error.code), error.message
    # google-cloud-python's Batch.commit finds `key: <index>` in this text.
    debug = DebugInfo(
        detail=f"[ORIGINAL ERROR] generic::invalid_argument: {first.message} "
        f"[google.rpc.error_details_ext] {{ details {{ {MessageToString(listing, as_one_line=True)} }} }}"
    )
    return (
        ApiError(first.code, first.message, listing, debug) if partial else ApiError(first.code, first.message, debug)
    )


def _resource_names(names: Any) -> list[str]:
    given = list(names)
    if not given:
        raise missing_field("resource_names")
    if len(given) > _RESOURCE_NAMES:
        raise invalid(f"resource_names has {len(given)} names, the limit is {_RESOURCE_NAMES}.")
    return given


def _descending(order_by: str) -> bool:
    order = " ".join(order_by.split()).lower()
    if order not in {"", "timestamp", "timestamp asc", "timestamp desc"}:
        raise invalid(f"order_by '{order_by}' is neither 'timestamp asc' nor 'timestamp desc'.")
    return order == "timestamp desc"


def _page_size(size: int) -> int:
    if not 0 <= size <= _LARGEST_PAGE:
        raise invalid(f"page_size {size} is not between 0 and {_LARGEST_PAGE}.")
    return size or _DEFAULT_PAGE


def _fingerprint(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()


def _token(key: tuple[int, str], bound_to: str) -> str:
    """Where the next page begins: after a key, not at a number, so that what arrives meanwhile shifts nothing."""
    return base64.urlsafe_b64encode(f"{bound_to}:{key[0]}:{key[1]}".encode()).decode()


def _read_token(token: str, bound_to: str) -> _Key:
    try:
        fingerprint, time, name = base64.urlsafe_b64decode(token.encode()).decode().split(":", 2)
        key = _Key(int(time), name)
    except (binascii.Error, ValueError):
        fingerprint, key = "", _Key(0, "")
    if fingerprint != bound_to:
        raise ApiError(Code.INVALID_ARGUMENT, "page_token doesn't match arguments from the request")
    return key
