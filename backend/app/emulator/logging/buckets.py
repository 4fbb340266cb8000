"""Log buckets and their views: what is stored where, for how long, and who sees which part of it."""

from collections.abc import Callable
from typing import Any

from google.cloud.logging_v2.types import LifecycleState, LogBucket, LogView

from ..clock import NANOS
from ..project import Context
from ..status import already_exists, invalid, invalid_field
from . import config_rules as rules
from .config_rules import DEFAULT, REQUIRED, BucketName
from .query import Query

Bucket = LogBucket.pb()
View = LogView.pb()

DAY = 86_400 * NANOS
# "A bucket that has been deleted can be undeleted within the grace period of 7 days" (logging_config.proto).
GRACE = 7 * DAY
ALL_LOGS = "_AllLogs"
_DELETED = LifecycleState.DELETE_REQUESTED
_UPDATABLE = frozenset(
    {"description", "retention_days", "locked", "analytics_enabled", "restricted_fields", "index_configs"}
    | {"cmek_settings"}
)
_MOST_VIEWS = 30  # docs.cloud.google.com/logging/docs/logs-views
_LONGEST_RETENTION = 3650  # docs.cloud.google.com/logging/docs/buckets#custom-retention
_REQUIRED_DAYS = 400  # docs.cloud.google.com/logging/docs/buckets

_PUT, _GONE = "logging.bucket", "logging.bucket_gone"
_VIEW, _VIEW_GONE = "logging.view", "logging.view_gone"


class Buckets:
    """The buckets of the project. `forget` is told the name of a bucket whose entries are gone for good."""

    def __init__(self, context: Context, forget: Callable[[str], None]) -> None:
        self._context = context
        self._forget = forget
        self._buckets: dict[str, Any] = {}
        self._views: dict[str, Any] = {}
        self._queries: dict[str, Query] = {}
        place = f"projects/{context.project_id}/locations/global/buckets"
        self.default = f"{place}/{DEFAULT}"
        days = max(1, round(context.switches.log_retention_days))
        for name, kept, what in (
            (f"{place}/{REQUIRED}", _REQUIRED_DAYS, "Audit bucket"),
            (self.default, days, "Default bucket"),
        ):
            bucket = Bucket(name=name, retention_days=kept, description=what, locked=name.endswith(REQUIRED))
            bucket.lifecycle_state = LifecycleState.ACTIVE
            self._keep(bucket)

    def horizons(self) -> dict[str, int]:
        """The time (ns) from which on each readable bucket holds entries, by name."""
        self.sweep()
        now = self._context.clock.now()
        return {
            name: now - bucket.retention_days * DAY
            for name, bucket in self._buckets.items()
            if bucket.lifecycle_state != _DELETED
        }

    def receiving(self, now: int) -> dict[str, int]:
        """As `horizons`, for writing: a bucket to be deleted is filled during its seven days."""
        return {name: now - bucket.retention_days * DAY for name, bucket in self._buckets.items()}

    def has_own_key(self, name: str) -> bool:
        return bool(name in self._buckets and self._buckets[name].cmek_settings.kms_key_name)

    def all(self, project: str, location: str) -> list[Any]:
        self.sweep()
        prefix = f"{project}/locations/" if location == "-" else f"{project}/locations/{location}/"
        return [self._buckets[name] for name in sorted(self._buckets) if name.startswith(prefix)]

    def get(self, name: BucketName) -> Any:
        self.sweep()
        bucket = self._buckets.get(name.bucket_name)
        if bucket is None:
            raise rules.absent("Bucket", f"`{name.bucket}`")
        return bucket

    def create(self, name: BucketName, given: Any) -> Any:
        self.sweep()
        rules.check_id(name.bucket, "bucket_id")
        if name.bucket_name in self._buckets:
            raise already_exists(f"Bucket `{name.bucket}` already exists")
        bucket = Bucket()
        bucket.CopyFrom(given)
        bucket.name = name.bucket_name
        bucket.retention_days = given.retention_days or 30
        bucket.lifecycle_state = LifecycleState.ACTIVE
        _check(bucket)
        now = self._context.clock.now()
        bucket.create_time.FromNanoseconds(now)
        bucket.update_time.FromNanoseconds(now)
        return self._put(bucket)

    def update(self, name: BucketName, given: Any, mask: Any) -> Any:
        stored = self.get(name)
        fields = rules.paths_of(mask, stored, _UPDATABLE)
        if name.bucket == REQUIRED:
            raise invalid("The bucket _Required cannot be changed.")
        if stored.lifecycle_state == _DELETED:
            raise rules.precondition(f"Bucket `{name.bucket}` is marked for deletion; undelete it first.")
        bucket = rules.overwrite(stored, given, fields)
        _check(bucket)
        if stored.locked:
            if not bucket.locked:
                raise rules.precondition(f"Bucket `{name.bucket}` is locked, which cannot be undone.")
            if bucket.retention_days != stored.retention_days:
                raise rules.precondition("The retention period on a locked bucket cannot be changed.")
        if stored.analytics_enabled and not bucket.analytics_enabled:
            raise invalid("Once enabled, log analytics features cannot be disabled.")
        if stored.cmek_settings.kms_key_name and not bucket.cmek_settings.kms_key_name:
            raise invalid("The CMEK settings of a bucket cannot be disabled.")
        bucket.update_time.FromNanoseconds(self._context.clock.now())
        return self._put(bucket)

    def delete(self, name: BucketName, *, is_empty: Callable[[str], bool]) -> None:
        stored = self.get(name)
        if name.bucket in {DEFAULT, REQUIRED}:
            raise invalid(f"The bucket {name.bucket} cannot be deleted.")
        if stored.lifecycle_state == _DELETED:
            raise rules.precondition(f"Bucket `{name.bucket}` is marked for deletion already.")
        if stored.locked and not is_empty(name.bucket_name):
            raise rules.precondition("Locked buckets may only be deleted if they are empty.")
        self._mark(stored, _DELETED)

    def undelete(self, name: BucketName) -> None:
        stored = self.get(name)
        if stored.lifecycle_state != _DELETED:
            raise rules.precondition(f"Bucket `{name.bucket}` is not marked for deletion.")
        self._mark(stored, LifecycleState.ACTIVE)

    def views(self, bucket: BucketName) -> list[Any]:
        self.get(bucket)
        prefix = f"{bucket.bucket_name}/views/"
        return [self._views[name] for name in sorted(self._views) if name.startswith(prefix)]

    def view(self, name: BucketName) -> Any:
        self.get(name)
        view = self._views.get(f"{name.bucket_name}/views/{name.view}")
        if view is None:
            raise rules.absent("View", f"`{name.view}`")
        return view

    def view_query(self, name: BucketName) -> Query:
        """The compiled filter of a view that exists."""
        return self._queries[self.view(name).name]

    def create_view(self, bucket: BucketName, view_id: str, given: Any) -> Any:
        rules.check_id(view_id, "view_id")
        name = f"{bucket.bucket_name}/views/{view_id}"
        if name in self._views:
            raise already_exists(f"View `{view_id}` already exists")
        if len(self.views(bucket)) >= _MOST_VIEWS:
            raise invalid(f"A bucket has at most {_MOST_VIEWS} views.")
        now = self._context.clock.now()
        view = View(name=name, description=given.description, filter=given.filter)
        view.create_time.FromNanoseconds(now)
        return self._put_view(view, now)

    def update_view(self, name: BucketName, given: Any, mask: Any) -> Any:
        stored = self.view(name)
        if name.view in {ALL_LOGS, DEFAULT}:
            raise invalid(f"The view {name.view} cannot be changed.")
        fields = ["description", "filter"]
        if mask.paths:  # "If unspecified, replaces all fields": an empty mask is none
            fields = rules.paths_of(mask, stored, frozenset(fields))
        return self._put_view(rules.overwrite(stored, given, fields), self._context.clock.now())

    def delete_view(self, name: BucketName) -> None:
        stored = self.view(name)
        if name.view == DEFAULT:
            raise invalid("The view _Default cannot be deleted.")
        self._context.journal.append(_VIEW_GONE, stored.name.encode())
        self._drop_view(stored.name)

    def restore(self, kind: str, record: bytes) -> bool:
        """Apply a journalled record; false when it is not about buckets or views."""
        if kind == _PUT:
            self._keep(Bucket.FromString(record))
        elif kind == _GONE:
            self._drop(record.decode())
        elif kind == _VIEW:
            self._keep_view(View.FromString(record))
        elif kind == _VIEW_GONE:
            self._drop_view(record.decode())
        else:
            return False
        return True

    def _mark(self, stored: Any, state: Any) -> None:
        bucket = Bucket()
        bucket.CopyFrom(stored)
        bucket.lifecycle_state = state
        bucket.update_time.FromNanoseconds(self._context.clock.now())
        self._put(bucket)

    def _put(self, bucket: Any) -> Any:
        self._context.journal.append(_PUT, bucket.SerializeToString())
        self._keep(bucket)
        return bucket

    def _keep(self, bucket: Any) -> None:
        if bucket.name not in self._buckets:
            self._keep_view(View(name=f"{bucket.name}/views/{ALL_LOGS}"))
            if bucket.name == self.default:
                accesses = ("cloudaudit.googleapis.com/data_access", "externalaudit.googleapis.com/data_access")
                text = " AND ".join(f'NOT LOG_ID("{log_id}")' for log_id in accesses)
                self._keep_view(View(name=f"{bucket.name}/views/{DEFAULT}", filter=text))
        self._buckets[bucket.name] = bucket

    def _put_view(self, view: Any, now: int) -> Any:
        rules.check_description(view.description)
        rules.check_view_filter(view.filter)
        view.update_time.FromNanoseconds(now)
        self._context.journal.append(_VIEW, view.SerializeToString())
        self._keep_view(view)
        return view

    def _keep_view(self, view: Any) -> None:
        self._views[view.name] = view
        self._queries[view.name] = rules.compiled(view.filter)

    def _drop_view(self, name: str) -> None:
        self._views.pop(name, None)
        self._queries.pop(name, None)

    def sweep(self) -> None:
        """Drop buckets whose seven days are over."""
        end = self._context.clock.now() - GRACE
        for name, bucket in list(self._buckets.items()):
            if bucket.lifecycle_state == _DELETED and bucket.update_time.ToNanoseconds() <= end:
                self._context.journal.append(_GONE, name.encode())
                self._drop(name)

    def _drop(self, name: str) -> None:
        self._buckets.pop(name, None)
        for view in [view for view in self._views if view.startswith(f"{name}/views/")]:
            self._drop_view(view)
        self._forget(name)


def _check(bucket: Any) -> None:
    rules.check_description(bucket.description)
    if not 1 <= bucket.retention_days <= _LONGEST_RETENTION:
        why = f"It must be between 1 and {_LONGEST_RETENTION} days."
        raise invalid_field("bucket.retention_days", why, bucket.retention_days)
