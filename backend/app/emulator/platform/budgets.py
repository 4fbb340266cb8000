"""Billing Budgets v1 (google/cloud/billing/budgets/v1): budgets are kept; nothing is billed, so none is ever spent."""

import hashlib
import re
from typing import Any

from ..names import new_id
from ..paging import page_of
from ..status import ApiError, Code, invalid, missing_field, not_found
from ..transport.rest import JsonCall
from .documents import Documents, Json, only, page_size, text_field

_ACCOUNT = re.compile(r"billingAccounts/[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}")
_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
_MOST_NAME, _MOST_CHANNELS = 60, 5
_LARGEST_PAGE = 100
_FIELDS: dict[str, frozenset[str]] = {
    "": frozenset({"name", "displayName", "budgetFilter", "amount", "thresholdRules", "notificationsRule", "etag"})
    | {"ownershipScope"},
    "budgetFilter": frozenset({"projects", "resourceAncestors", "creditTypes", "creditTypesTreatment", "services"})
    | {"subaccounts", "labels", "calendarPeriod", "customPeriod"},
    "amount": frozenset({"specifiedAmount", "lastPeriodAmount"}),
    "notificationsRule": frozenset({"pubsubTopic", "schemaVersion", "monitoringNotificationChannels"})
    | {"disableDefaultIamRecipients", "enableProjectLevelRecipients"},
}
_RULE = frozenset({"thresholdPercent", "spendBasis"})
_MONEY = frozenset({"currencyCode", "units", "nanos"})


class Budgets:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def create_budget_json(self, call: JsonCall) -> Any:
        parent = call.variables["parent"]
        if _ACCOUNT.fullmatch(parent) is None:
            raise invalid(f"'{parent}' is no billing account: billingAccounts/XXXXXX-XXXXXX-XXXXXX.")
        return self._keep(f"{parent}/budgets/{new_id()}", _checked(call.body))

    def get_budget_json(self, call: JsonCall) -> Any:
        return self._budget(call.variables["name"])

    def list_budgets_json(self, call: JsonCall) -> Any:
        given = dict(call.query)
        found = self._documents.under(f"{call.variables['parent']}/budgets/")
        page, token = page_of(found, page_size(call.query), given.get("pageToken", ""), _LARGEST_PAGE)
        return ({"budgets": list(page)} if page else {}) | ({"nextPageToken": token} if token else {})

    def update_budget_json(self, call: JsonCall) -> Any:
        stored = self._budget(call.variables["budget.name"])
        wanted = only(call.body, _FIELDS[""], "budget")
        if wanted.get("etag", stored["etag"]) != stored["etag"]:
            raise ApiError(Code.ABORTED, "The etag does not match that of the stored budget; read it again.")
        mask = [path for path in dict(call.query).get("updateMask", "").split(",") if path]
        merged = {key: value for key, value in stored.items() if key not in {"name", "etag"}}
        for path in mask or [key for key in wanted if key not in {"name", "etag"}]:
            _copy(merged, wanted, [_camel(part) for part in path.split(".")])
        return self._keep(stored["name"], _checked(merged))

    def delete_budget_json(self, call: JsonCall) -> Any:
        self._documents.delete(self._budget(call.variables["name"])["name"])
        return {}

    def _budget(self, name: str) -> Json:
        found = self._documents.get(name)
        if found is None:
            raise not_found(f"Requested entity was not found: {name}.")
        return found

    def _keep(self, name: str, body: Json) -> Json:
        kept = {key: value for key, value in body.items() if key not in {"name", "etag"}}
        budget = {
            "name": name,
            **kept,
            "etag": hashlib.blake2b(repr(sorted(kept.items())).encode(), digest_size=8).hexdigest(),
        }
        self._documents.put(name, budget)
        return budget


def _copy(target: Json, source: Json, path: list[str]) -> None:
    """Take one masked path over; a path that the source lacks is cleared."""
    first, *rest = path
    if not rest:
        if first in source:
            target[first] = source[first]
        else:
            target.pop(first, None)
        return
    inner = dict(target.get(first) or {})
    given = source.get(first)
    _copy(inner, given if isinstance(given, dict) else {}, rest)
    target[first] = inner


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _checked(given: Any) -> Json:
    """A budget as budget_model.proto allows it, with what the API fills in."""
    body = dict(only(given, _FIELDS[""], "budget"))
    text_field(body, "displayName", _MOST_NAME)
    for part in ("budgetFilter", "amount", "notificationsRule"):
        if part in body:
            body[part] = dict(only(body[part], _FIELDS[part], f"budget.{part}"))
    amount = body.get("amount") or {}
    if len(amount) != 1:
        raise missing_field("budget.amount") if not amount else invalid("A budget has one kind of amount.")
    if "specifiedAmount" in amount:
        only(amount["specifiedAmount"], _MONEY, "budget.amount.specifiedAmount")
        amount["specifiedAmount"] = {"currencyCode": "USD", **amount["specifiedAmount"]}
    rules = body.get("thresholdRules", [])
    if not isinstance(rules, list):
        raise invalid("Invalid value at 'budget.threshold_rules': it must be a list.")
    body["thresholdRules"] = [_rule(one) for one in rules]
    _check_notifications(body.get("notificationsRule") or {})
    filters = body.setdefault("budgetFilter", {})
    filters.setdefault("creditTypesTreatment", "INCLUDE_ALL_CREDITS")
    if "customPeriod" not in filters:
        filters.setdefault("calendarPeriod", "MONTH")
    return body


def _rule(given: Any) -> Json:
    rule = only(given, _RULE, "budget.thresholdRules")
    percent = rule.get("thresholdPercent", 0)
    if isinstance(percent, bool) or not isinstance(percent, int | float) or percent < 0:
        raise invalid("A budget's thresholdPercent must be a number that is not negative, such as 0.5.")
    if rule.get("spendBasis", "CURRENT_SPEND") not in {"CURRENT_SPEND", "FORECASTED_SPEND"}:
        raise invalid("A budget's spendBasis is CURRENT_SPEND or FORECASTED_SPEND.")
    return {"thresholdPercent": percent, "spendBasis": rule.get("spendBasis", "CURRENT_SPEND")}


def _check_notifications(rule: Json) -> None:
    topic = text_field(rule, "pubsubTopic")
    if topic and _TOPIC.fullmatch(topic) is None:
        raise invalid(f"'{topic}' is no topic: projects/{{project_id}}/topics/{{topic_id}}.")
    if topic and rule.get("schemaVersion") != "1.0":
        raise invalid('A notifications rule with a topic needs the schemaVersion "1.0".')
    if len(rule.get("monitoringNotificationChannels", [])) > _MOST_CHANNELS:
        raise invalid(f"A budget has at most {_MOST_CHANNELS} notification channels.")
