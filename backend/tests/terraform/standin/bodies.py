"""Between Terraform's objects and the API's: what the provider puts on the wire, and what it reads back.

A body leaves out what is empty: null, "", 0, false, [] and {}. So what an answer does not hold equals such a value, and
a configured `false` stays `false`.
"""

import copy
import json
from typing import Any

from .schema import RESOURCES, Block, Resource
from .values import UNKNOWN, conform

_DASHBOARD = "google_monitoring_dashboard"
_SLO = "google_monitoring_slo"
_BUDGET = "google_billing_budget"
_SECRETS = ("auth_token", "password", "service_key")
# google/monitoring/v3/service.proto: the kinds of an indicator, and the provider's blocks for them.
_INDICATORS = {"basicSli": "basicSli", "requestBasedSli": "requestBased", "windowsBasedSli": "windowsBased"}
_DAY = 86_400


def body_of(type_name: str, state: dict[str, Any], config: dict[str, Any] | None = None) -> dict[str, Any]:
    """The REST body that creates this object; `config` holds the secrets that no state keeps."""
    if type_name == _DASHBOARD:
        dashboard: dict[str, Any] = json.loads(state["dashboard_json"])
        return dashboard
    resource = RESOURCES[type_name]
    state = conform(state, resource.block)
    body = _body(type_name, state, resource)
    if resource.api == "monitoring":
        body.pop("name", None)
    for secrets in state.get("sensitive_labels") or []:
        body["labels"] = {**body.get("labels", {}), **{key: secrets[key] for key in _SECRETS if secrets[key]}}
    for secrets in (config or {}).get("sensitive_labels") or []:
        given = {key: secrets[f"{key}_wo"] for key in _SECRETS if secrets.get(f"{key}_wo")}
        body["labels"] = {**body.get("labels", {}), **given}
    return body


def state_of(type_name: str, answer: dict[str, Any], prior: dict[str, Any], project: str) -> dict[str, Any]:
    """The state after the API answered; `prior` is the plan or the state before."""
    resource = RESOURCES[type_name]
    if type_name == _DASHBOARD:
        return {"id": answer["name"], "dashboard_json": json.dumps(answer, sort_keys=True), "project": project}
    state = _incoming(_shaped(type_name, answer), prior, resource.block)
    last = answer["name"].rpartition("/")[2]
    local = {"id": prior["id"], "project": project, "uptime_check_id": last, "service_id": last, "slo_id": last}
    for name, attribute in resource.block.attributes.items():
        if name in local:
            state[name] = local[name]
        elif "local" in attribute.words:
            state[name] = prior.get(name)
    if resource.api == "logging" and "local" not in resource.block.attributes["name"].words:
        # The API answers names alone for metrics and sinks; buckets are known by their whole name.
        state["name"] = answer["name"]
    if "sensitive_labels" in state:
        # The API hides secrets; the provider keeps what was configured, and nothing of what is only written.
        state["sensitive_labels"] = [
            {name: None if name.endswith("_wo") else value for name, value in secrets.items()}
            for secrets in prior["sensitive_labels"]
        ]
        kept = prior.get("labels") or {}
        labels = {key: value for key, value in (state["labels"] or {}).items() if key not in _SECRETS or key in kept}
        state["labels"] = labels or None
    return state


def changed(resource: Resource, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The top-level fields of an update mask, in the provider's order."""
    name = next(name for name, one in RESOURCES.items() if one is resource)
    was, will = (_body(name, state, resource) for state in (before, after))
    return [field for field in resource.update_mask if was.get(field) != will.get(field)]


def same_dashboard(configured: str, stored: str) -> bool:
    """Equal once the stored dashboard loses every key that the configured one does not name."""
    wanted = json.loads(configured)
    return bool(wanted == _only(json.loads(stored), wanted))


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _body(type_name: str, state: dict[str, Any], resource: Resource) -> dict[str, Any]:
    body = {**_outgoing(state, resource.block, resource.always_sent), **resource.constant}
    if type_name == _SLO:
        if days := body.pop("rollingPeriodDays", None):
            body["rollingPeriod"] = f"{days * _DAY}s"
        found = {kind: body.pop(block) for block, kind in _INDICATORS.items() if block in body}
        body["serviceLevelIndicator"] = found
        for basic in _basic_indicators(found):
            # The provider's block holds a word that the API does not know.
            basic["availability"] = {}
    if type_name == _BUDGET and body.get("amount", {}).get("lastPeriodAmount"):
        body["amount"]["lastPeriodAmount"] = {}
    return body


def _basic_indicators(indicator: dict[str, Any]) -> list[dict[str, Any]]:
    """Where an objective asks for availability, of the service itself or of each window."""
    threshold = indicator.get("windowsBased", {}).get("goodTotalRatioThreshold", {})
    places = (indicator.get("basicSli", {}), threshold.get("basicSliPerformance", {}))
    return [basic for basic in places if "availability" in basic]


def _shaped(type_name: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer in the provider's shape, where that is another."""
    if type_name == _SLO:
        period = answer.get("rollingPeriod", "0s").removesuffix("s")
        indicator = copy.deepcopy(answer.get("serviceLevelIndicator", {}))
        for basic in _basic_indicators(indicator):
            basic["availability"] = {"enabled": True}
        blocks = {block: indicator[kind] for block, kind in _INDICATORS.items() if kind in indicator}
        return {**answer, "rollingPeriodDays": int(float(period)) // _DAY, **blocks}
    if type_name == _BUDGET and "lastPeriodAmount" in answer.get("amount", {}):
        return {**answer, "amount": {"lastPeriodAmount": True}}
    return answer


def _outgoing(state: dict[str, Any], block: Block, always: frozenset[str] = frozenset()) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, attribute in block.attributes.items():
        value, key = state[name], block.fields.get(name, camel(name))
        if "local" in attribute.words or value is UNKNOWN:
            continue
        if value or key in always:
            body[key] = value
    for name, nested in block.blocks.items():
        key = block.fields.get(name, camel(name))
        if nested.local or state[name] is UNKNOWN:
            continue
        items = [_outgoing(item, nested.block) for item in state[name]]
        if nested.most == 1:
            items = [item for item in items if item]
        if items:
            body[key] = items[0] if nested.most == 1 else items
        elif key in always:
            body[key] = []
    return {key: value or False if key == "disabled" else value for key, value in body.items()}


def _incoming(answer: dict[str, Any], prior: dict[str, Any] | None, block: Block) -> dict[str, Any]:
    prior = prior or {}
    state: dict[str, Any] = {}
    for name, attribute in block.attributes.items():
        value, before = answer.get(block.fields.get(name, camel(name))), prior.get(name)
        if attribute.type == "number" and isinstance(value, str):
            value = float(value)
        state[name] = before if not value and before is not UNKNOWN and not before else value
    for name, nested in block.blocks.items():
        found = answer.get(block.fields.get(name, camel(name))) or []
        items = found if isinstance(found, list) else [found]
        befores = prior.get(name)
        before_items = befores if isinstance(befores, list) else []
        if nested.is_set:
            items = _in_order_of(items, before_items)
        state[name] = [
            _incoming(item, before_items[at] if at < len(before_items) else None, nested.block)
            for at, item in enumerate(items)
        ]
        if nested.is_set:
            # An answer leaves out what is the default: STRING of a label's type.
            for item in state[name]:
                for inner, attribute in nested.block.attributes.items():
                    item[inner] = attribute.default if item[inner] is None else item[inner]
    return state


def _in_order_of(items: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A set has no order: items with a key stand where the same key stood before."""
    places = {one.get("key"): at for at, one in enumerate(before)}
    return sorted(items, key=lambda one: places.get(one.get("key"), len(places)))


def _only(stored: Any, wanted: Any) -> Any:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        return {key: _only(value, wanted[key]) for key, value in stored.items() if key in wanted}
    if isinstance(stored, list) and isinstance(wanted, list) and len(stored) == len(wanted):
        return [_only(one, other) for one, other in zip(stored, wanted, strict=True)]
    return stored
