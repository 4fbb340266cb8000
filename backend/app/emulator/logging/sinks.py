"""Sinks and exclusions, and the way of an entry through them: the Log Router."""

from collections import Counter
from typing import Any, NamedTuple

from google.cloud.logging_v2.types import LogExclusion, LogSink

from ..project import Context
from ..status import already_exists, invalid
from . import config_rules as rules
from .buckets import Buckets
from .config_rules import DEFAULT, REQUIRED
from .query import Query
from .record import Record
from .regex import TooExpensiveError

Sink = LogSink.pb()
Exclusion = LogExclusion.pb()

SHARED_WRITER = "serviceAccount:cloud-logs@system.gserviceaccount.com"
_AUDITS = (
    "cloudaudit.googleapis.com/activity",
    "externalaudit.googleapis.com/activity",
    "cloudaudit.googleapis.com/system_event",
    "externalaudit.googleapis.com/system_event",
    "cloudaudit.googleapis.com/access_transparency",
    "externalaudit.googleapis.com/access_transparency",
)
_NAMES_KNOWN = 1000
_PUT, _GONE = "logging.sink", "logging.sink_gone"
_STORAGE = "logging.googleapis.com/"
_MOST_SINKS = 200  # docs.cloud.google.com/logging/quotas
_UPDATABLE = frozenset(
    {"destination", "filter", "description", "disabled", "exclusions", "output_version_format", "include_children"}
    | {"bigquery_options"}
)
_EXCLUSION_FIELDS = frozenset({"description", "filter", "disabled"})
# "An empty updateMask is temporarily treated as using the following mask" (logging_config.proto, UpdateSinkRequest).
_OLD_MASK = ["destination", "filter", "include_children"]


class _Route(NamedTuple):
    destination: str
    bucket: str  # empty when the entries leave Cloud Logging
    query: Query
    exclusions: list[Query]
    by_name: dict[str, bool] | None
    """What is known of each log, for a sink that asks for nothing but the name of the log."""

    def takes(self, record: Record) -> bool:
        if self.by_name is None:
            return self._asked(record)
        name = record.log_name
        known = self.by_name.get(name)
        if known is None:
            if len(self.by_name) >= _NAMES_KNOWN:
                self.by_name.clear()
            known = self.by_name[name] = self._asked(record)
        return known

    def _asked(self, record: Record) -> bool:
        return matches(self.query, record) and not any(matches(query, record) for query in self.exclusions)


class Sinks:
    """The sinks of the project; `_Default` and `_Required` exist from the start."""

    def __init__(self, context: Context, buckets: Buckets) -> None:
        self._context = context
        self._buckets = buckets
        self._sinks: dict[str, Any] = {}
        self._routes: list[_Route] = []
        self.exported: Counter[str] = Counter()
        """Entries that a sink sends to places that are not emulated, by destination."""
        place = f"{_STORAGE}projects/{context.project_id}/locations/global/buckets"
        audits = " OR ".join(f'LOG_ID("{log_id}")' for log_id in _AUDITS)
        others = " AND ".join(f'NOT LOG_ID("{log_id}")' for log_id in _AUDITS)
        self._keep(Sink(name=REQUIRED, destination=f"{place}/{REQUIRED}", filter=audits))
        self._keep(Sink(name=DEFAULT, destination=f"{place}/{DEFAULT}", filter=others))

    def route(self, record: Record, receiving: dict[str, int]) -> tuple[str, ...]:
        """The buckets that store an entry; `receiving` says from which time on each of them holds entries."""
        found = []
        for route in self._routes:
            if route.bucket and record.time < receiving.get(route.bucket, record.time + 1):
                continue
            if not route.takes(record):
                continue
            if route.bucket:
                found.append(route.bucket)
            else:
                self.exported[route.destination] += 1
        return tuple(found)

    def all(self) -> list[Any]:
        return [self._sinks[name] for name in sorted(self._sinks)]

    def get(self, name: str) -> Any:
        sink = self._sinks.get(name)
        if sink is None:
            raise rules.absent("Sink", name)
        return sink

    def create(self, given: Any, *, unique: bool) -> Any:
        if given.name in self._sinks:
            raise already_exists(f"Sink {given.name} already exists")
        if len(self._sinks) >= _MOST_SINKS:
            raise invalid(f"A project has at most {_MOST_SINKS} sinks.")
        rules.check_sink(given, self._context)
        sink = Sink()
        sink.CopyFrom(given)
        now = self._context.clock.now()
        sink.create_time.FromNanoseconds(now)
        sink.writer_identity = self._writer(sink.destination, unique=unique)
        return self._put(sink, now)

    def update(self, name: str, given: Any, mask: Any, *, unique: bool) -> Any:
        stored = self.get(name)
        if name == REQUIRED:
            raise invalid("The sink _Required cannot be changed.")
        if given.name not in {"", name}:
            raise invalid(f"The sink's name '{given.name}' is not the one of the request, '{name}'.")
        fields = rules.paths_of(mask, stored, _UPDATABLE) if mask.paths else _OLD_MASK
        sink = rules.overwrite(stored, given, fields)
        rules.check_destination(sink, self._context)
        was_unique = stored.writer_identity not in {"", SHARED_WRITER}
        if was_unique and not unique:
            raise invalid("unique_writer_identity cannot be set back to false.")
        sink.writer_identity = self._writer(sink.destination, unique=unique)
        return self._put(sink, self._context.clock.now())

    def delete(self, name: str) -> None:
        self.get(name)
        if name in {DEFAULT, REQUIRED}:
            raise invalid(f"The sink {name} cannot be deleted.")
        self._context.journal.append(_GONE, name.encode())
        self._drop(name)

    # "Creates a new exclusion in the _Default sink in a specified parent resource" (logging_config.proto).

    def exclusions(self) -> list[Any]:
        return list(self._sinks[DEFAULT].exclusions)

    def exclusion(self, name: str) -> Any:
        for exclusion in self._sinks[DEFAULT].exclusions:
            if exclusion.name == name:
                return exclusion
        raise rules.absent("Exclusion", name)

    def create_exclusion(self, given: Any) -> Any:
        if any(known.name == given.name for known in self.exclusions()):
            raise already_exists(f"Exclusion {given.name} already exists")
        exclusion = Exclusion()
        exclusion.CopyFrom(given)
        exclusion.create_time.FromNanoseconds(self._context.clock.now())
        return self._replace_exclusion(given.name, exclusion)

    def update_exclusion(self, name: str, given: Any, mask: Any) -> Any:
        stored = self.exclusion(name)
        return self._replace_exclusion(
            name, rules.overwrite(stored, given, rules.paths_of(mask, stored, _EXCLUSION_FIELDS))
        )

    def delete_exclusion(self, name: str) -> None:
        self.exclusion(name)
        self._replace_exclusion(name, None)

    def restore(self, kind: str, record: bytes) -> bool:
        """Apply a journalled record; false when it is not about sinks."""
        if kind == _PUT:
            self._keep(Sink.FromString(record))
        elif kind == _GONE:
            self._drop(record.decode())
        else:
            return False
        return True

    def _replace_exclusion(self, name: str, exclusion: Any) -> Any:
        now = self._context.clock.now()
        sink = Sink()
        sink.CopyFrom(self._sinks[DEFAULT])
        kept = [known for known in sink.exclusions if known.name != name]
        if exclusion is not None:
            exclusion.update_time.FromNanoseconds(now)
            kept.append(exclusion)
        del sink.exclusions[:]
        sink.exclusions.extend(kept)
        rules.check_sink_filters(sink)
        self._put(sink, now)
        return exclusion

    def _writer(self, destination: str, *, unique: bool) -> str:
        if self._bucket_of(destination):
            # "Sinks that have a destination that is a log bucket in the same project as the sink cannot have a
            # writer_identity" (logging_config.proto, LogSink.writer_identity).
            return ""
        # One service account a project since 2023 (docs.cloud.google.com/logging/docs/export/configure_export_v2).
        own = f"serviceAccount:service-{self._context.project_number}@gcp-sa-logging.iam.gserviceaccount.com"
        return own if unique else SHARED_WRITER

    def _bucket_of(self, destination: str) -> str:
        """The name of a bucket of this project; empty for every other destination."""
        name = destination.removeprefix(_STORAGE)
        number = f"projects/{self._context.project_number}/"
        if name.startswith(number):
            name = f"projects/{self._context.project_id}/{name.removeprefix(number)}"
        ours = destination.startswith(_STORAGE) and name.startswith(f"projects/{self._context.project_id}/locations/")
        return name if ours else ""

    def _put(self, sink: Any, now: int) -> Any:
        sink.update_time.FromNanoseconds(now)
        self._context.journal.append(_PUT, sink.SerializeToString())
        self._keep(sink)
        return sink

    def _keep(self, sink: Any) -> None:
        self._sinks[sink.name] = sink
        self._compile()

    def _drop(self, name: str) -> None:
        self._sinks.pop(name, None)
        self._compile()

    def _compile(self) -> None:
        self._routes = [self._route(sink) for sink in self.all() if not sink.disabled]

    def _route(self, sink: Any) -> _Route:
        exclusions = [exclusion.filter for exclusion in sink.exclusions if not exclusion.disabled]
        return _Route(
            sink.destination,
            self._bucket_of(sink.destination),
            rules.compiled(sink.filter),
            [rules.compiled(text) for text in exclusions],
            {} if all(map(rules.asks_only_for_logs, [sink.filter, *exclusions])) else None,
        )


def matches(query: Query, record: Record) -> bool:
    """Whether an entry matches a stored filter; a regular expression that would take seconds does not match."""
    try:
        return query.matches(record)
    except TooExpensiveError:
        return False
