"""What the provider answers about one resource: is it valid, what will it become, make it so."""

import http
import json
from collections.abc import Iterator
from typing import Any

from . import bodies
from .rest import Api, Refused
from .schema import RESOURCES, Block
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
    if config.get("project") is None and (prior is None or not planned["project"]):
        planned["project"] = project or UNKNOWN
    if prior is None:
        return planned, []
    _suppress(type_name, prior, planned)
    return planned, list(_replaced(prior, planned, block, ()))


def apply(
    type_name: str, prior: dict[str, Any] | None, planned: dict[str, Any] | None, api: Api
) -> dict[str, Any] | None:
    if planned is None:
        if prior is not None:
            _delete(type_name, prior, api)
        return None
    resource = RESOURCES[type_name]
    body = bodies.body_of(type_name, planned)
    if prior is None:
        answer = api.call("POST", resource.collection.format(project=planned["project"]), body)
        return read(type_name, {**planned, "id": answer["name"]}, api)
    path = _path(type_name, prior["id"])
    if type_name == _DASHBOARD:
        api.call("PATCH", path, {**body, "etag": json.loads(prior["dashboard_json"]).get("etag", "")})
    elif type_name == _CHANNEL:
        api.call("PATCH", path, body)
    elif mask := bodies.changed(resource, prior, planned):
        api.call("PATCH", path, _with_names(body, prior), {"updateMask": ",".join(mask)})
    return read(type_name, {**planned, "id": prior["id"]}, api)


def read(type_name: str, state: dict[str, Any], api: Api) -> dict[str, Any] | None:
    """The object as the API holds it now; None when it is gone."""
    try:
        answer = api.call("GET", _path(type_name, state["id"]))
    except Refused as refusal:
        if refusal.status == http.HTTPStatus.NOT_FOUND:
            return None
        raise
    return bodies.state_of(type_name, answer, state, state["project"])


def _delete(type_name: str, prior: dict[str, Any], api: Api) -> None:
    query = {"force": str(bool(prior["force_delete"])).lower()} if type_name == _CHANNEL else {}
    try:
        api.call("DELETE", _path(type_name, prior["id"]), query=query)
    except Refused as refusal:
        if refusal.status != http.HTTPStatus.NOT_FOUND:
            raise


def _path(type_name: str, name: str) -> str:
    return f"{RESOURCES[type_name].collection.split('/')[0]}/{name}"


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
        if filled[name] is not None:
            continue
        if attribute.default is not None:
            filled[name] = attribute.default
        elif "computed" in attribute.words and prior is None:
            filled[name] = UNKNOWN
    for name, nested in block.blocks.items():
        if filled[name] is not UNKNOWN:
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
        for index, (was, will) in enumerate(zip(prior[name], planned[name], strict=False)):
            yield from _replaced(was, will, nested.block, (*at, name, index))


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
