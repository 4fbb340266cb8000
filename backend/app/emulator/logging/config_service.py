"""google.logging.v2.ConfigServiceV2: buckets, views, sinks, exclusions, settings."""

import itertools
from typing import Any

from google.cloud.logging_v2.types import (
    BucketMetadata,
    CmekSettings,
    ListBucketsResponse,
    ListExclusionsResponse,
    ListLinksResponse,
    ListSinksResponse,
    ListViewsResponse,
    OperationState,
    Settings,
)
from google.longrunning.operations_pb2 import Operation
from google.protobuf.empty_pb2 import Empty

from ..paging import page_of
from ..project import Context
from ..status import not_found
from . import config_rules as rules
from .buckets import Buckets
from .config_rules import BucketName
from .sinks import Sinks
from .store import EntryStore

_SETTINGS = "logging.settings"
_LARGEST_PAGE = 1000
_OPERATIONS_KEPT = 1000
_UPDATABLE_SETTINGS = frozenset({"kms_key_name", "storage_location", "disable_default_sink"})


class ConfigService:
    """The methods of ConfigServiceV2, over one project's buckets and sinks."""

    def __init__(self, context: Context, store: EntryStore) -> None:
        self._context = context
        self._store = store
        self.buckets = Buckets(context, store.forget_bucket)
        self.sinks = Sinks(context, self.buckets)
        self._settings = Settings.pb()(
            name=f"projects/{context.project_id}/settings",
            kms_service_account_id=f"cmek-p{context.project_number}@gcp-sa-logging.iam.gserviceaccount.com",
        )
        self._operations: dict[str, Operation] = {}
        self._numbers = itertools.count(1)

    def list_buckets(self, request: Any) -> Any:
        found = self.buckets.all(*rules.read_location(request.parent, self._context, any_location=True))
        page, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListBucketsResponse.pb()(buckets=page, next_page_token=token)

    def get_bucket(self, request: Any) -> Any:
        return self.buckets.get(self._bucket(request.name))

    def create_bucket(self, request: Any) -> Any:
        project, location = rules.read_location(request.parent, self._context, any_location=False)
        return self.buckets.create(BucketName(project, location, request.bucket_id, ""), request.bucket)

    def create_bucket_async(self, request: Any) -> Operation:
        bucket = self.create_bucket(request)
        return self._done(bucket, create_bucket_request=request)

    def update_bucket(self, request: Any) -> Any:
        return self.buckets.update(self._bucket(request.name), request.bucket, request.update_mask)

    def update_bucket_async(self, request: Any) -> Operation:
        return self._done(self.update_bucket(request), update_bucket_request=request)

    def delete_bucket(self, request: Any) -> Empty:
        self.buckets.delete(self._bucket(request.name), is_empty=self._store.bucket_is_empty)
        return Empty()

    def undelete_bucket(self, request: Any) -> Empty:
        self.buckets.undelete(self._bucket(request.name))
        return Empty()

    def list_views(self, request: Any) -> Any:
        found = self.buckets.views(rules.read_bucket_name(request.parent, self._context, "parent"))
        page, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListViewsResponse.pb()(views=page, next_page_token=token)

    def get_view(self, request: Any) -> Any:
        return self.buckets.view(self._view(request.name))

    def create_view(self, request: Any) -> Any:
        bucket = rules.read_bucket_name(request.parent, self._context, "parent")
        return self.buckets.create_view(bucket, request.view_id, request.view)

    def update_view(self, request: Any) -> Any:
        return self.buckets.update_view(self._view(request.name), request.view, request.update_mask)

    def delete_view(self, request: Any) -> Empty:
        self.buckets.delete_view(self._view(request.name))
        return Empty()

    def list_sinks(self, request: Any) -> Any:
        rules.read_project(request.parent, self._context)
        page, token = page_of(self.sinks.all(), request.page_size, request.page_token, _LARGEST_PAGE)
        return ListSinksResponse.pb()(sinks=page, next_page_token=token)

    def get_sink(self, request: Any) -> Any:
        return self.sinks.get(rules.read_child(request.sink_name, "sinks", self._context, "sink_name"))

    def create_sink(self, request: Any) -> Any:
        rules.read_project(request.parent, self._context)
        return self.sinks.create(request.sink, unique=request.unique_writer_identity)

    def update_sink(self, request: Any) -> Any:
        name = rules.read_child(request.sink_name, "sinks", self._context, "sink_name")
        return self.sinks.update(name, request.sink, request.update_mask, unique=request.unique_writer_identity)

    def delete_sink(self, request: Any) -> Empty:
        self.sinks.delete(rules.read_child(request.sink_name, "sinks", self._context, "sink_name"))
        return Empty()

    def list_exclusions(self, request: Any) -> Any:
        rules.read_project(request.parent, self._context)
        page, token = page_of(self.sinks.exclusions(), request.page_size, request.page_token, _LARGEST_PAGE)
        return ListExclusionsResponse.pb()(exclusions=page, next_page_token=token)

    def get_exclusion(self, request: Any) -> Any:
        return self.sinks.exclusion(rules.read_child(request.name, "exclusions", self._context))

    def create_exclusion(self, request: Any) -> Any:
        rules.read_project(request.parent, self._context)
        return self.sinks.create_exclusion(request.exclusion)

    def update_exclusion(self, request: Any) -> Any:
        name = rules.read_child(request.name, "exclusions", self._context)
        return self.sinks.update_exclusion(name, request.exclusion, request.update_mask)

    def delete_exclusion(self, request: Any) -> Empty:
        self.sinks.delete_exclusion(rules.read_child(request.name, "exclusions", self._context))
        return Empty()

    def list_links(self, request: Any) -> Any:
        """No link to BigQuery can be made here, so a bucket that exists has none."""
        self.buckets.get(rules.read_bucket_name(request.parent, self._context, "parent"))
        return ListLinksResponse.pb()()

    def get_settings(self, request: Any) -> Any:
        rules.read_project(request.name, self._context, "name")
        return self._settings

    def update_settings(self, request: Any) -> Any:
        rules.read_project(request.name, self._context, "name")
        fields = sorted(_UPDATABLE_SETTINGS)
        if request.update_mask.paths:
            fields = rules.paths_of(request.update_mask, self._settings, _UPDATABLE_SETTINGS)
        settings = rules.overwrite(self._settings, request.settings, fields)
        self._context.journal.append(_SETTINGS, settings.SerializeToString())
        self._settings = settings
        return settings

    def get_cmek_settings(self, request: Any) -> Any:
        rules.read_project(request.name, self._context, "name")
        return CmekSettings.pb()(
            name=f"projects/{self._context.project_id}/cmekSettings",
            kms_key_name=self._settings.kms_key_name,
            service_account_id=self._settings.kms_service_account_id,
        )

    def operation(self, name: str) -> Operation:
        """A finished operation by its name.

        Raises:
            ApiError: NOT_FOUND.
        """
        found = self._operations.get(name)
        if found is None:
            raise not_found(f"Operation {name} does not exist")
        return found

    def operations(self) -> list[Operation]:
        return list(self._operations.values())

    def restore(self, kind: str, record: bytes) -> bool:
        """Apply a journalled record; false when it is not about the configuration."""
        if kind == _SETTINGS:
            self._settings = Settings.pb().FromString(record)
            return True
        return self.buckets.restore(kind, record) or self.sinks.restore(kind, record)

    def _bucket(self, name: str) -> BucketName:
        return rules.read_bucket_name(name, self._context)

    def _view(self, name: str) -> BucketName:
        return rules.read_bucket_name(name, self._context, view=True)

    def _done(self, bucket: Any, **request: Any) -> Operation:
        """The operation of a call whose work is done when it answers."""
        place = bucket.name.partition("/buckets/")[0]
        operation = Operation(name=f"{place}/operations/{next(self._numbers):016x}", done=True)
        metadata = BucketMetadata.pb()(state=OperationState.OPERATION_STATE_SUCCEEDED, **request)
        for stamp in (metadata.start_time, metadata.end_time):
            stamp.FromNanoseconds(self._context.clock.now())
        operation.metadata.Pack(metadata)
        operation.response.Pack(bucket)
        self._operations[operation.name] = operation
        if len(self._operations) > _OPERATIONS_KEPT:
            del self._operations[next(iter(self._operations))]
        return operation
