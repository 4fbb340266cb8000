"""Between Terraform's objects and the API's: what the provider puts on the wire, and what it reads back.

A body leaves out what is empty: null, "", 0, false, [] and {}. So what an answer does not hold equals such a value, and
a configured `false` stays `false`.
"""

import json
from typing import Any

from .schema import RESOURCES, Block, Resource
from .values import UNKNOWN, conform

_DASHBOARD = "google_monitoring_dashboard"
_SECRETS = ("auth_token", "password", "service_key")


def body_of(type_name: str, state: dict[str, Any]) -> dict[str, Any]:
    """The REST body that creates this object."""
    if type_name == _DASHBOARD:
        dashboard: dict[str, Any] = json.loads(state["dashboard_json"])
        return dashboard
    resource = RESOURCES[type_name]
    state = conform(state, resource.block)
    body = _outgoing(state, resource.block, resource.always_sent)
    body.pop("name", None)
    for secrets in state.get("sensitive_labels") or []:
        body["labels"] = {**body.get("labels", {}), **{key: secrets[key] for key in _SECRETS if secrets[key]}}
    return body


def state_of(type_name: str, answer: dict[str, Any], prior: dict[str, Any], project: str) -> dict[str, Any]:
    """The state after the API answered; `prior` is the plan or the state before."""
    resource = RESOURCES[type_name]
    if type_name == _DASHBOARD:
        return {"id": answer["name"], "dashboard_json": json.dumps(answer, sort_keys=True), "project": project}
    state = _incoming(answer, prior, resource.block)
    last = answer["name"].rpartition("/")[2]
    local = {
        "id": answer["name"],
        "project": project,
        "uptime_check_id": last,
        "force_delete": prior.get("force_delete"),
    }
    state.update({name: value for name, value in local.items() if name in resource.block.attributes})
    if "sensitive_labels" in state:
        # The API hides secrets; the provider keeps what was configured.
        state["sensitive_labels"] = prior["sensitive_labels"]
        hidden = {key for secrets in prior["sensitive_labels"] for key in _SECRETS if secrets[key]}
        state["labels"] = {key: value for key, value in (state["labels"] or {}).items() if key not in hidden} or None
    return state


def changed(resource: Resource, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The top-level fields of an update mask, in the provider's order."""
    was, will = (_outgoing(state, resource.block, resource.always_sent) for state in (before, after))
    return [name for name in resource.update_mask if was.get(name) != will.get(name)]


def same_dashboard(configured: str, stored: str) -> bool:
    """Equal once the stored dashboard loses every key that the configured one does not name."""
    wanted = json.loads(configured)
    return bool(wanted == _only(json.loads(stored), wanted))


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _outgoing(state: dict[str, Any], block: Block, always: frozenset[str] = frozenset()) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, attribute in block.attributes.items():
        value = state[name]
        if "local" in attribute.words or value is UNKNOWN:
            continue
        if value or camel(name) in always:
            body[camel(name)] = value
    for name, nested in block.blocks.items():
        if nested.local or state[name] is UNKNOWN:
            continue
        items = [_outgoing(item, nested.block) for item in state[name]]
        if nested.most == 1:
            items = [item for item in items if item]
        if items:
            body[camel(name)] = items[0] if nested.most == 1 else items
    return body


def _incoming(answer: dict[str, Any], prior: dict[str, Any] | None, block: Block) -> dict[str, Any]:
    prior = prior or {}
    state: dict[str, Any] = {}
    for name in block.attributes:
        value, before = answer.get(camel(name)), prior.get(name)
        state[name] = before if not value and before is not UNKNOWN and not before else value
    for name, nested in block.blocks.items():
        found = answer.get(camel(name)) or []
        items = found if isinstance(found, list) else [found]
        befores = prior.get(name)
        before_items = befores if isinstance(befores, list) else []
        state[name] = [
            _incoming(item, before_items[at] if at < len(before_items) else None, nested.block)
            for at, item in enumerate(items)
        ]
    return state


def _only(stored: Any, wanted: Any) -> Any:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        return {key: _only(value, wanted[key]) for key, value in stored.items() if key in wanted}
    if isinstance(stored, list) and isinstance(wanted, list) and len(stored) == len(wanted):
        return [_only(one, other) for one, other in zip(stored, wanted, strict=True)]
    return stored
