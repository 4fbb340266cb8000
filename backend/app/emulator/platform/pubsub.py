"""Pub/Sub v1 (google/pubsub/v1/pubsub.proto): topics, subscriptions, publish, pull, push; no order, no filters."""

import re
from typing import Any

from ..names import require_project
from ..paging import page_of
from ..project import Context
from ..status import invalid, missing_field, not_found
from ..transport.rest import JsonCall
from .documents import Documents, Json, exists_already, labels_field, only, page_size
from .messages import Messages
from .policies import Policies

_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}")
_LARGEST_PAGE = 1000
_DELETED_TOPIC = "_deleted-topic_"  # pubsub.proto, Subscription.topic
_TOPIC_FIELDS = frozenset(
    {"name", "labels", "messageStoragePolicy", "kmsKeyName", "schemaSettings", "satisfiesPzs"}
) | {
    "messageRetentionDuration",
    "state",
    "ingestionDataSourceSettings",
    "messageTransforms",
    "tags",
}
_SUBSCRIPTION_FIELDS = frozenset(
    {"name", "topic", "pushConfig", "ackDeadlineSeconds", "retainAckedMessages", "labels"}
) | {
    "messageRetentionDuration",
    "expirationPolicy",
    "retryPolicy",
    "state",
    "tags",
}
_PUSH_FIELDS = frozenset({"pushEndpoint", "attributes", "oidcToken", "pubsubWrapper", "noWrapper"})
_SHORTEST_DEADLINE, _LONGEST_DEADLINE = 10, 600


class PubSub:
    """What both services share."""

    def __init__(self, context: Context, documents: Documents, policies: Policies) -> None:
        self._context = context
        self.documents = documents
        self.policies = policies
        self.messages = Messages(context, self.push_endpoint)
        self.restore = self.messages.restore

    def check_name(self, name: str, collection: str) -> str:
        """The name with the project's id.

        Raises:
            ApiError: INVALID_ARGUMENT for a malformed name, NOT_FOUND for another project.
        """
        require_project(name, self._context.project_id, self._context.project_number)
        parts = name.split("/")
        if len(parts) != 4 or parts[2] != collection or _ID.fullmatch(parts[3]) is None:  # noqa: PLR2004  # projects/P/x/ID
            raise invalid(f"Invalid [{collection}] name: (name={name})")
        return f"projects/{self._context.project_id}/{collection}/{parts[3]}"

    def find(self, name: str, collection: str) -> Json:
        found = self.documents.get(self.check_name(name, collection))
        if found is None:
            raise not_found(f"Resource not found (resource={name.rpartition('/')[2]}).")
        return found

    def create(self, name: str, collection: str, body: Json) -> Json:
        checked = self.check_name(name, collection)
        if self.documents.get(checked) is not None:
            raise exists_already(f"Resource already exists in the project (resource={checked.rpartition('/')[2]}).")
        labels_field(body)
        document = {**body, "name": checked, "state": "ACTIVE"}
        self.documents.put(checked, document)
        return document

    def delete(self, document: Json) -> None:
        self.documents.delete(document["name"])
        self.policies.forget(document["name"])

    def subscriptions(self, topic: str = "") -> list[Json]:
        found = self.documents.under(f"projects/{self._context.project_id}/subscriptions/")
        return [one for one in found if topic in {"", one["topic"]}]

    def push_endpoint(self, subscription: str) -> str:
        found = self.documents.get(subscription) or {}
        return str((found.get("pushConfig") or {}).get("pushEndpoint", ""))

    def publish(self, topic: str, messages: list[Json]) -> list[str]:
        """Hand messages (with data in base64) to every subscription of a topic; their ids."""
        name = self.find(topic, "topics")["name"]
        return self.messages.publish(messages, [one["name"] for one in self.subscriptions(name)])

    def page(self, call: JsonCall, key: str, found: list[Any]) -> Json:
        given = dict(call.query)
        page, token = page_of(found, page_size(call.query), given.get("pageToken", ""), _LARGEST_PAGE)
        return ({key: list(page)} if page else {}) | ({"nextPageToken": token} if token else {})

    def check_project(self, name: str) -> None:
        require_project(name, self._context.project_id, self._context.project_number, "project")


class Publisher:
    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    def create_topic_json(self, call: JsonCall) -> Any:
        return self._pubsub.create(call.variables["name"], "topics", only(call.body, _TOPIC_FIELDS))

    def get_topic_json(self, call: JsonCall) -> Any:
        return self._pubsub.find(call.variables["topic"], "topics")

    def list_topics_json(self, call: JsonCall) -> Any:
        project = call.variables["project"]
        self._pubsub.check_project(project)
        return self._pubsub.page(call, "topics", self._pubsub.documents.under(f"{project}/topics/"))

    def update_topic_json(self, call: JsonCall) -> Any:
        body = only(call.body, frozenset({"topic", "updateMask"}))
        return _update(self._pubsub, call, body, "topic", _TOPIC_FIELDS)

    def delete_topic_json(self, call: JsonCall) -> Any:
        topic = self._pubsub.find(call.variables["topic"], "topics")
        self._pubsub.delete(topic)
        for subscription in self._pubsub.subscriptions(topic["name"]):
            self._pubsub.documents.put(subscription["name"], {**subscription, "topic": _DELETED_TOPIC})
        return {}

    def list_topic_subscriptions_json(self, call: JsonCall) -> Any:
        topic = self._pubsub.find(call.variables["topic"], "topics")
        names = [one["name"] for one in self._pubsub.subscriptions(topic["name"])]
        return self._pubsub.page(call, "subscriptions", names)

    def publish_json(self, call: JsonCall) -> Any:
        messages = only(call.body, frozenset({"messages"})).get("messages", [])
        return {"messageIds": self._pubsub.publish(call.variables["topic"], messages)}


class Subscriber:
    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    def create_subscription_json(self, call: JsonCall) -> Any:
        body = dict(only(call.body, _SUBSCRIPTION_FIELDS))
        if not body.get("topic"):
            raise missing_field("topic")
        body["topic"] = self._pubsub.find(body["topic"], "topics")["name"]
        body["pushConfig"] = _push_config(body.get("pushConfig"))
        body.setdefault("ackDeadlineSeconds", _SHORTEST_DEADLINE)
        deadline = body["ackDeadlineSeconds"]
        if not isinstance(deadline, int) or not _SHORTEST_DEADLINE <= deadline <= _LONGEST_DEADLINE:
            raise invalid(f"ackDeadlineSeconds must be {_SHORTEST_DEADLINE} to {_LONGEST_DEADLINE}.")
        body.setdefault("messageRetentionDuration", "604800s")
        return self._pubsub.create(call.variables["name"], "subscriptions", body)

    def get_subscription_json(self, call: JsonCall) -> Any:
        return self._pubsub.find(call.variables["subscription"], "subscriptions")

    def list_subscriptions_json(self, call: JsonCall) -> Any:
        self._pubsub.check_project(call.variables["project"])
        return self._pubsub.page(call, "subscriptions", self._pubsub.subscriptions())

    def update_subscription_json(self, call: JsonCall) -> Any:
        body = only(call.body, frozenset({"subscription", "updateMask"}))
        if isinstance(body.get("subscription"), dict) and "pushConfig" in body["subscription"]:
            _push_config(body["subscription"]["pushConfig"])
        answer = _update(self._pubsub, call, body, "subscription", _SUBSCRIPTION_FIELDS - {"topic"})
        self._pubsub.messages.wake()
        return answer

    def modify_push_config_json(self, call: JsonCall) -> Any:
        found = self._pubsub.find(call.variables["subscription"], "subscriptions")
        wanted = only(call.body, frozenset({"pushConfig"})).get("pushConfig")
        self._pubsub.documents.put(found["name"], {**found, "pushConfig": _push_config(wanted)})
        self._pubsub.messages.wake()
        return {}

    def delete_subscription_json(self, call: JsonCall) -> Any:
        found = self._pubsub.find(call.variables["subscription"], "subscriptions")
        self._pubsub.delete(found)
        self._pubsub.messages.drop(found["name"])
        return {}

    def pull_json(self, call: JsonCall) -> Any:
        found = self._pubsub.find(call.variables["subscription"], "subscriptions")
        most = only(call.body, frozenset({"maxMessages", "returnImmediately"})).get("maxMessages", 0)
        if not isinstance(most, int) or most <= 0:
            raise invalid("maxMessages must be greater than 0.")
        messages = self._pubsub.messages.waiting(found["name"], most, found["ackDeadlineSeconds"])
        return (
            {"receivedMessages": [{"ackId": one["messageId"], "message": one} for one in messages]} if messages else {}
        )

    def acknowledge_json(self, call: JsonCall) -> Any:
        found = self._pubsub.find(call.variables["subscription"], "subscriptions")
        ids = only(call.body, frozenset({"ackIds"})).get("ackIds", [])
        if not isinstance(ids, list) or not ids:
            raise missing_field("ackIds")
        self._pubsub.messages.acknowledge(found["name"], [str(one) for one in ids])
        return {}


def _update(pubsub: PubSub, call: JsonCall, body: Json, kind: str, fields: frozenset[str]) -> Json:
    stored = pubsub.find(call.variables[f"{kind}.name"], f"{kind}s")
    wanted = only(body.get(kind), fields, kind)
    mask = body.get("updateMask") or dict(call.query).get("updateMask", "")
    paths = [path for path in str(mask).split(",") if path]
    if not paths:
        raise invalid("The update_mask in the Update request must be set, and must contain a non-empty paths list.")
    changed = dict(stored)
    for path in paths:
        head, *tail = path.partition(".")[0].split("_")
        key = head + "".join(word.capitalize() for word in tail)
        if key not in fields or key in {"name", "state"}:
            raise invalid(f"Invalid update_mask provided in the request: '{path}' cannot be changed.")
        if key in wanted:
            changed[key] = wanted[key]
        else:
            changed.pop(key, None)
    labels_field(changed)
    if kind == "subscription":
        changed["pushConfig"] = _push_config(changed.get("pushConfig"))
    pubsub.documents.put(stored["name"], changed)
    return changed


def _push_config(given: Any) -> Json:
    config = only(given, _PUSH_FIELDS, "pushConfig")
    endpoint = config.get("pushEndpoint", "")
    if not isinstance(endpoint, str) or (endpoint and not endpoint.startswith(("http://", "https://"))):
        raise invalid(f"Invalid push endpoint given (endpoint={endpoint}).")
    return config
