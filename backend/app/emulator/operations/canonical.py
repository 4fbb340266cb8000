"""One way to write an object: without what the server fills in, without defaults, in the order people read it."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from .api import Kind

_SERVER_SIDE: Mapping[Kind, frozenset[str]] = {
    "channel": frozenset({"name", "creationRecord", "mutationRecords", "verificationStatus"}),
    "dashboard": frozenset({"name", "etag"}),
    "log_metric": frozenset({"createTime", "updateTime", "resourceName", "version"}),
    "policy": frozenset({"name", "creationRecord", "mutationRecord", "validity", "notificationChannels"}),
    "service": frozenset({"name"}),
    "slo": frozenset({"name"}),
    "uptime_check": frozenset({"name"}),
}
# What every reader takes for granted where a document is silent.
_DEFAULTS: Mapping[Kind, Mapping[str, Any]] = {
    "channel": {"enabled": True},
    "dashboard": {},
    "log_metric": {"version": "V2"},
    "policy": {"enabled": True},
    "service": {},
    "slo": {},
    "uptime_check": {"checkerType": "STATIC_IP_CHECKERS"},
}
# A dashboard's defaults, which the API leaves out and every plan would show as a difference.
_SILENT: tuple[Any, ...] = ({}, [], "", None, "REDUCE_NONE", "ALIGN_NONE", "COLOR")
_DESCRIBED = {"displayName", "labels", "metricKind", "unit", "valueType"}
# Kinds of widgets that say nothing more.
_WIDGETS = {"blank", "incidentList"}
_ORDER = ("displayName", "name", "description", "severity", "enabled", "combiner", "userLabels", "conditions")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_ /-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def canonical(kind: Kind, data: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody wrote, or would have to."""
    kept = {
        key: value
        for key, value in data.items()
        if key not in _SERVER_SIDE[kind] and _DEFAULTS[kind].get(key, ...) != value
    }
    if kind == "policy":
        kept = _policy(kept)
    elif kind == "dashboard":
        kept = _silenced(kept)
    elif kind == "log_metric":
        kept["metricDescriptor"] = _descriptor(kept.get("metricDescriptor", {}))
    return dict(sorted(kept.items(), key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else 99))


def without_ids(value: Any, markers: Mapping[str, str]) -> Any:
    """Ids of uptime checks as the markers that files use."""
    if isinstance(value, str):
        for known, marker in markers.items():
            value = re.sub(rf"(?<![\w-]){re.escape(known)}(?![\w-])", marker, value)
        return value
    if isinstance(value, dict):
        return {key: without_ids(item, markers) for key, item in value.items()}
    return [without_ids(item, markers) for item in value] if isinstance(value, list) else value


def as_yaml(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def _policy(policy: dict[str, Any]) -> dict[str, Any]:
    """Files name no channels: `userLabels.renotify` says how often those of the route are told again."""
    conditions = [{key: value for key, value in one.items() if key != "name"} for one in policy.get("conditions", [])]
    strategy = dict(policy.get("alertStrategy", {}))
    again = [one.get("renotifyInterval") for one in strategy.pop("notificationChannelStrategy", [])]
    labels = dict(policy.get("userLabels", {}))
    if again and again[0]:
        labels.setdefault("renotify", again[0])
    documentation = dict(policy.get("documentation", {}))
    if documentation.get("content") and not documentation.get("mimeType"):
        documentation["mimeType"] = "text/markdown"
    optional = {"alertStrategy": strategy, "documentation": documentation, "userLabels": labels}
    return {**policy, "conditions": conditions, **{key: value for key, value in optional.items() if value}}


def _descriptor(descriptor: dict[str, Any]) -> dict[str, Any]:
    """What a file may say, the rest being the server's; a label is text unless it says otherwise."""
    kept = {key: value for key, value in descriptor.items() if key in _DESCRIBED}
    if "labels" in kept:
        text = ("valueType", "STRING")
        kept["labels"] = [dict(pair for pair in label.items() if pair != text) for label in kept["labels"]]
    return kept


def _silenced(value: Any) -> Any:
    if isinstance(value, dict):
        items = {key: _silenced(item) for key, item in value.items()}
        return {
            key: item
            for key, item in items.items()
            if key in _WIDGETS or (item not in _SILENT and not (key in {"xPos", "yPos"} and item == 0))
        }
    return [_silenced(item) for item in value] if isinstance(value, list) else value


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" in text:
        style = "|"
    else:
        style = "" if _PLAIN.fullmatch(text) and text.strip() == text and text.lower() not in _WORDS else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style or None)


_Dumper.add_representer(str, _text)
