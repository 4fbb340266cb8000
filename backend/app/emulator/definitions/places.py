"""Where each kind of object lives in the REST API, how it is found there again, and when two are the same."""

import urllib.parse
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from google.protobuf import json_format

from ..alerting.messages import NotificationChannel
from ..logging.metric_rules import describe
from ..project import Context
from ..services.messages import Service
from ..uptime.rules import fill_defaults
from .loading import MESSAGES

Held = Literal["channel", "dashboard", "log_metric", "policy", "service", "slo", "uptime_check"]
SERVER_SIDE = frozenset(
    {"name", "etag", "creationRecord", "mutationRecord", "mutationRecords", "validity", "verificationStatus"}
)
_MESSAGES: dict[Held, Any] = {kind: message for kind, message in MESSAGES.items()}  # noqa: C416  # more kinds follow
_MESSAGES |= {"channel": NotificationChannel, "service": Service}


class Place(NamedTuple):
    """A collection of the API."""

    collection: str
    """Its path, with `{project}` in it; below which service an objective lies, its own name says."""
    key: str
    """Of the list's answer."""
    identity: str = "displayName"
    """The field by which an object is found again."""
    update: str = "PATCH"


PLACES: Mapping[Held, Place] = {
    "channel": Place("v3/projects/{project}/notificationChannels", "notificationChannels"),
    "dashboard": Place("v1/projects/{project}/dashboards", "dashboards"),
    "log_metric": Place("v2/projects/{project}/metrics", "metrics", "name", "PUT"),
    "policy": Place("v3/projects/{project}/alertPolicies", "alertPolicies"),
    "service": Place("v3/projects/{project}/services", "services", "name"),
    "slo": Place("v3/projects/{project}/services/-/serviceLevelObjectives", "serviceLevelObjectives", "name"),
    "uptime_check": Place("v3/projects/{project}/uptimeCheckConfigs", "uptimeCheckConfigs"),
}


def path_of(kind: Held, name: str, project: str) -> str:
    """The path of one object; Cloud Logging tells a metric's name alone, and it may hold slashes."""
    if kind == "log_metric":
        return f"{PLACES[kind].collection.format(project=project)}/{urllib.parse.quote(name, safe='')}"
    return f"{PLACES[kind].collection.partition('/')[0]}/{name}"


def same(kind: Held, wanted: Mapping[str, Any], present: Mapping[str, Any], project: str) -> bool:
    """Whether the server would hold the same after a write, its own fields and defaults aside."""
    if kind == "dashboard":
        return {k: v for k, v in wanted.items() if k not in SERVER_SIDE} == {
            k: v for k, v in present.items() if k not in SERVER_SIDE
        }
    return bool(normal(kind, wanted, project) == normal(kind, present, project))


def normal(kind: Held, data: Mapping[str, Any], project: str) -> Any:
    """The object as Google's message, without what the server fills in, with what it takes for granted."""
    message = _MESSAGES[kind]()
    kept = {key: value for key, value in data.items() if key not in SERVER_SIDE or PLACES[kind].identity == key}
    json_format.ParseDict(kept, message, ignore_unknown_fields=True)
    if kind == "uptime_check":
        fill_defaults(message, project)
    elif kind == "log_metric":
        message.metric_descriptor.CopyFrom(describe(message, Context(project_id=project)))
        for field in ("create_time", "update_time", "version"):
            message.ClearField(field)
    elif kind in {"channel", "policy"} and not message.HasField("enabled"):
        message.enabled.value = True
    if kind in {"service", "slo"}:
        message.ClearField("name")
    if kind == "policy":
        for condition in message.conditions:
            condition.ClearField("name")
        if message.documentation.content and not message.documentation.mime_type:
            message.documentation.mime_type = "text/markdown"
    return message
