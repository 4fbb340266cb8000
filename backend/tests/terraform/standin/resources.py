"""What the provider answers about one resource: is it valid, what will it become, make it so."""

import http
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

from . import bodies
from .rest import Api, Refused
from .schema import RESOURCES, Block
from .special import SPECIAL, found
from .values import UNKNOWN

_DASHBOARD = "google_monitoring_dashboard"
_CHANNEL = "google_monitoring_notification_channel"
_UPTIME_CHECK = "google_monitoring_uptime_check_config"

Steps = tuple[str | int, ...]


def faults(type_name: str, config: dict[str, Any]) -> list[tuple[Steps, str]]:
    """What the schema alone cannot refuse: values outside an enumeration, a dashboard that is no JSON."""
    found = list(_outside(config, RESOURCES[type_name].block, ()))
    text = config.get("dashboard_json")
    if isinstance(text, str):
        try:
            json.loads(text)
        except ValueError as error:
            found.append((("dashboard_json",), f'"dashboard_json" contains an invalid JSON: {error}'))
    return found


def plan(
    type_name: str, prior: dict[str, Any] | None, proposed: dict[str, Any] | None, config: dict[str, Any], project: str
) -> tuple[dict[str, Any] | None, list[Steps]]:
    """The planned object, and the paths that force a new one."""
    if proposed is None:
        return None, []
    block = RESOURCES[type_name].block
    planned = _filled(proposed, prior, block)
    if "project" in planned and config.get("project") is None and (prior is None or not planned["project"]):
        planned["project"] = project or UNKNOWN
    if prior is None:
        return planned, []
    _suppress(type_name, prior, planned)
    return planned, list(_replaced(prior, planned, block, ()))


def apply(
    type_name: str,
    prior: dict[str, Any] | None,
    planned: dict[str, Any] | None,
    config: dict[str, Any] | None,
    api: Api,
) -> dict[str, Any] | None:
    if planned is None:
        if prior is not None:
            _delete(type_name, prior, api)
        return None
    body = bodies.body_of(type_name, planned, config)
    if prior is None:
        return read(type_name, {**planned, "id": _create(type_name, planned, body, api)}, api)
    _update(type_name, prior, planned, body, api)
    return read(type_name, {**planned, "id": prior["id"]}, api)


def read(type_name: str, state: dict[str, Any], api: Api) -> dict[str, Any] | None:
    """The object as the API holds it now; None when it is gone."""
    special = SPECIAL.get(type_name)
    if special is not None and special.read is not None:
        return special.read(type_name, state, api)
    answer = found(_path(type_name, state), api, RESOURCES[type_name].api)
    if answer is None or answer.get("lifecycleState") == "DELETE_REQUESTED":
        return None
    return bodies.state_of(type_name, answer, state, state.get("project") or "")


def _create(type_name: str, planned: dict[str, Any], body: dict[str, Any], api: Api) -> str:
    """Answers the id."""
    resource = RESOURCES[type_name]
    if type_name in SPECIAL:
        return SPECIAL[type_name].create(type_name, planned, body, api)
    collection = resource.collection.format(**{**planned, "service": _last(planned.get("service"))})
    known = {key: planned[name] for key, name in resource.create_query.items() if isinstance(planned[name], str)}
    answer = api.call("POST", collection, body, known or None, resource.api)
    name = str(answer["name"])
    # Cloud Logging answers most names alone, and a metric's may hold slashes.
    return f"{collection}/{name}" if resource.api == "logging" and not name.startswith("projects/") else name


def _update(type_name: str, prior: dict[str, Any], planned: dict[str, Any], body: dict[str, Any], api: Api) -> None:
    resource, path = RESOURCES[type_name], _path(type_name, prior)
    special = SPECIAL.get(type_name)
    if special is not None and special.read is not None:
        return
    if type_name == _DASHBOARD:
        api.call("PATCH", path, {**body, "etag": json.loads(prior["dashboard_json"]).get("etag", "")})
    elif resource.update == "whole":
        api.call("PATCH", path, body)
    elif resource.update == "put":
        api.call("PUT", path, body, api=resource.api)
    elif resource.update == "upsert":
        api.call("POST", resource.collection.format(**planned), body, api=resource.api)
    elif mask := bodies.changed(resource, prior, planned):
        api.call("PATCH", path, _with_names(body, prior), {"updateMask": ",".join(mask)}, resource.api)


def _delete(type_name: str, prior: dict[str, Any], api: Api) -> None:
    policy = prior.get("deletion_policy")
    if policy == "ABANDON":
        return
    if policy == "PREVENT":
        raise Refused(0, f"cannot destroy {prior['id']}: its deletion_policy is PREVENT")
    special = SPECIAL.get(type_name)
    if special is not None and special.delete is not None:
        special.delete(type_name, prior, api)
        return
    query = {"force": str(bool(prior["force_delete"])).lower()} if type_name == _CHANNEL else {}
    try:
        api.call("DELETE", _path(type_name, prior), query=query, api=RESOURCES[type_name].api)
    except Refused as refusal:
        if refusal.status != http.HTTPStatus.NOT_FOUND:
            raise


def _path(type_name: str, state: dict[str, Any]) -> str:
    """Monitoring's endpoint has no version in its base; names of log metrics may hold slashes."""
    resource = RESOURCES[type_name]
    if resource.api == "logging":
        collection, _slash, name = state["id"].partition("/metrics/")
        return f"{collection}/metrics/{urllib.parse.quote(name, safe='')}" if name else str(state["id"])
    version = resource.collection.split("/")[0]
    return f"{version}/{state['id']}" if resource.api == "monitoring" else str(state["id"])


def _last(name: Any) -> str:
    """A service may be named by its id or by its whole name."""
    return str(name).rpartition("/")[2]


def _with_names(body: dict[str, Any], prior: dict[str, Any]) -> dict[str, Any]:
    """An update names the conditions it keeps, so that the API does not make new ones."""
    names = [condition["name"] for condition in prior.get("conditions", [])]
    conditions = [
        {**condition, "name": names[at]} if at < len(names) else condition
        for at, condition in enumerate(body.get("conditions", []))
    ]
    return {**body, "conditions": conditions} if conditions else body


def _filled(value: dict[str, Any], prior: dict[str, Any] | None, block: Block) -> dict[str, Any]:
    """Defaults where nothing is configured; what the API decides about a new object or block is not known yet."""
    filled = dict(value)
    for name, attribute in block.attributes.items():
        if "write_only" in attribute.words:
            # Known while it is sent, from the configuration alone.
            filled[name] = None
            continue
        if filled[name] is not None:
            continue
        if attribute.default is not None:
            filled[name] = attribute.default
        elif "computed" in attribute.words and prior is None:
            filled[name] = UNKNOWN
    for name, nested in block.blocks.items():
        if nested.computed and filled[name] == []:
            filled[name] = prior[name] if prior is not None else UNKNOWN
        elif filled[name] is not UNKNOWN:
            befores = (prior or {}).get(name) or []
            filled[name] = [
                _filled(item, befores[at] if at < len(befores) else None, nested.block)
                for at, item in enumerate(filled[name])
            ]
    return filled


def _suppress(type_name: str, prior: dict[str, Any], planned: dict[str, Any]) -> None:
    """Differences that are none: the provider keeps the old value, and Terraform sees no change."""
    if type_name == _DASHBOARD and isinstance(planned["dashboard_json"], str):
        if bodies.same_dashboard(planned["dashboard_json"], prior["dashboard_json"]):
            planned["dashboard_json"] = prior["dashboard_json"]
    elif type_name == _UPTIME_CHECK and isinstance(planned["monitored_resource"], list):
        for was, will in zip(prior["monitored_resource"], planned["monitored_resource"], strict=False):
            # The API adds the project to the labels of every uptime check.
            if {"project_id": was["labels"].get("project_id"), **(will["labels"] or {})} == was["labels"]:
                will["labels"] = was["labels"]


def _replaced(prior: dict[str, Any], planned: dict[str, Any], block: Block, at: Steps) -> Iterator[Steps]:
    for name, attribute in block.attributes.items():
        if "replaces" in attribute.words and prior[name] != planned[name]:
            yield (*at, name)
    for name, nested in block.blocks.items():
        if not isinstance(planned[name], list):
            continue
        if nested.is_set:
            # Items of a set have no place that a path could name.
            inner = any("replaces" in one.words for one in nested.block.attributes.values())
            if inner and _sorted(prior[name]) != _sorted(planned[name]):
                yield (*at, name)
            continue
        for index, (was, will) in enumerate(zip(prior[name], planned[name], strict=False)):
            yield from _replaced(was, will, nested.block, (*at, name, index))


def _sorted(items: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted(item.items())) for item in items)


def _outside(value: dict[str, Any], block: Block, at: Steps) -> Iterator[tuple[Steps, str]]:
    for name, attribute in block.attributes.items():
        given = value[name]
        if attribute.values and isinstance(given, str) and given not in ("", *attribute.values):
            yield (*at, name), f"expected {name} to be one of {list(attribute.values)}, got {given}"
    for name, nested in block.blocks.items():
        if isinstance(value[name], list):
            for index, item in enumerate(value[name]):
                if isinstance(item, dict):
                    yield from _outside(item, nested.block, (*at, name, index))
