"""Calls of the Logging service and of its configuration for tests, with the fields that matter."""

from collections.abc import Callable
from typing import Any

import pytest
from google.cloud.logging_v2 import types
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict

from app.emulator.logging.config_service import ConfigService
from app.emulator.logging.service import LoggingService
from app.emulator.status import ApiError

PROTO = "google/logging/v2/logging_config.proto"
GLOBAL = "projects/demo/locations/global"
DEFAULT = f"{GLOBAL}/buckets/_Default"
MINE = f"{GLOBAL}/buckets/mine"


def message(kind: str, **fields: Any) -> Any:
    return ParseDict(fields, getattr(types, kind).pb()())


def write(service: LoggingService, *entries: dict[str, Any]) -> None:
    body = {"logName": "projects/demo/logs/app", "resource": {"type": "global"}, "entries": entries}
    service.write_log_entries(message("WriteLogEntriesRequest", **body))


def texts(service: LoggingService, *names: str, **request: Any) -> list[str]:
    body = {"resourceNames": names or ["projects/demo"], **request}
    return [entry.text_payload for entry in service.list_log_entries(message("ListLogEntriesRequest", **body)).entries]


def bucket(config: ConfigService, bucket_id: str = "mine", location: str = GLOBAL, **fields: Any) -> Any:
    request = message("CreateBucketRequest", parent=location, bucketId=bucket_id, bucket=fields)
    return config.create_bucket(request)


def view(config: ConfigService, view_id: str, text: str, parent: str = DEFAULT) -> Any:
    return config.create_view(message("CreateViewRequest", parent=parent, viewId=view_id, view={"filter": text}))


def sink(config: ConfigService, name: str, to: str = MINE, *, unique: bool = True, **fields: Any) -> Any:
    destination = to if to.partition("/")[0].endswith(".com") else f"logging.googleapis.com/{to}"
    body = {"name": name, "destination": destination, **fields}
    return config.create_sink(
        message("CreateSinkRequest", parent="projects/demo", sink=body, uniqueWriterIdentity=unique)
    )


def update_bucket(config: ConfigService, name: str = MINE, **fields: Any) -> Any:
    request = message("UpdateBucketRequest", name=name, bucket=fields)
    request.update_mask.CopyFrom(FieldMask(paths=_paths(fields)))
    return config.update_bucket(request)


def _paths(fields: dict[str, Any]) -> list[str]:
    return ["".join(f"_{char.lower()}" if char.isupper() else char for char in field) for field in fields]


def refusal(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        function(*arguments, **keywords)
    return caught.value
