"""Resources whose calls follow no common form: roles, enabled APIs, and what is looked up before it is made."""

import http
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .rest import Api, Refused
from .schema import RESOURCES

State = dict[str, Any]
_POLICY_VERSION = 3


@dataclass(frozen=True)
class Special:
    create: Callable[[str, State, State, Api], str]
    """type, planned, body, api -> id"""
    read: Callable[[str, State, Api], State | None] | None = None
    delete: Callable[[str, State, Api], None] | None = None


def found(path: str, api: Api, name: str) -> dict[str, Any] | None:
    try:
        return api.call("GET", path, api=name)
    except Refused as refusal:
        if refusal.status == http.HTTPStatus.NOT_FOUND:
            return None
        raise


def _bucket(type_name: str, planned: State, body: State, api: Api) -> str:
    collection = RESOURCES[type_name].collection.format(**planned)
    path = f"{collection}/{planned['bucket_id']}"
    if found(path, api, "logging") is not None:
        # It is taken over as it stands, which is how _Default and _Required are managed.
        mask = ",".join(key for key in ("retentionDays", "description") if key in body)
        api.call("PATCH", path, body, {"updateMask": mask}, "logging")
        return path
    query = {"bucketId": planned["bucket_id"]}
    operation = api.call("POST", f"{collection}:createAsync", body, query, "logging")
    while not operation.get("done"):
        operation = api.call("GET", operation["name"], api="logging")
    if "error" in operation:
        raise Refused(operation["error"].get("code", 0), operation["error"].get("message", ""))
    return path


def _sink(type_name: str, planned: State, body: State, api: Api) -> str:
    collection = RESOURCES[type_name].collection.format(**planned)
    path = f"{collection}/{planned['name']}"
    query = {"uniqueWriterIdentity": str(bool(planned["unique_writer_identity"])).lower(), "prettyPrint": "false"}
    if found(path, api, "logging") is None:
        api.call("POST", collection, body, query, "logging")
    else:
        api.call("PATCH", path, body, {**query, "updateMask": ",".join(body)}, "logging")
    return path


def _topic(type_name: str, planned: State, body: State, api: Api) -> str:
    path = f"{RESOURCES[type_name].collection.format(**planned)}/{planned['name']}"
    api.call("PUT", path, body, api="pubsub")
    return path


def _enable(type_name: str, planned: State, _: State, api: Api) -> str:
    identifier = f"{planned['project']}/{planned['service']}"
    state = {**planned, "id": identifier}
    if _enabled(type_name, state, api) is None:
        path = f"projects/{planned['project']}/services/{planned['service']}:enable"
        operation = api.call("POST", path, {}, api="service_usage")
        while not operation.get("done"):
            operation = api.call("GET", operation["name"], api="service_usage")
    return identifier


def _enabled(_: str, state: State, api: Api) -> State | None:
    project, _slash, service = state["id"].partition("/")
    answer: dict[str, Any] = {"nextPageToken": ""}
    while "nextPageToken" in answer:
        query = {"pageSize": "200", "filter": "state:ENABLED", "fields": "services/name,nextPageToken"}
        query |= {"pageToken": answer["nextPageToken"]} if answer["nextPageToken"] else {}
        answer = api.call("GET", f"projects/{project}/services", None, query, "service_usage")
        if any(one["name"].endswith(f"/services/{service}") for one in answer.get("services", [])):
            return {**state, "project": project, "service": service}
    return None


def _disable(_: str, prior: State, api: Api) -> None:
    if prior["disable_on_destroy"]:
        project, _slash, service = prior["id"].partition("/")
        body = {"disableDependentServices": bool(prior["disable_dependent_services"])}
        api.call("POST", f"projects/{project}/services/{service}:disable", body, api="service_usage")


def _grant(type_name: str, planned: State, _: State, api: Api) -> str:
    _change(type_name, planned, api, lambda members: sorted({*members, planned["member"]}))
    return f"{RESOURCES[type_name].collection.format(**planned)}/{planned['role']}/{planned['member']}"


def _granted(type_name: str, state: State, api: Api) -> State | None:
    policy = _policy(type_name, state, api)
    for binding in policy.get("bindings", []):
        if _same(binding, state) and state["member"] in binding["members"]:
            return {**state, "etag": policy.get("etag", "")}
    return None


def _revoke(type_name: str, prior: State, api: Api) -> None:
    _change(type_name, prior, api, lambda members: [one for one in members if one != prior["member"]])


def _change(type_name: str, state: State, api: Api, change: Callable[[list[str]], list[str]]) -> None:
    resource = RESOURCES[type_name]
    path = f"{resource.collection.format(**state)}:setIamPolicy"
    while True:
        policy = _policy(type_name, state, api)
        bindings = policy.get("bindings", [])
        mine = [one for one in bindings if _same(one, state)]
        binding = mine[0] if mine else {"role": state["role"], "members": [], **_condition(state)}
        members = change(binding["members"])
        others = [one for one in bindings if one is not binding]
        wanted = {**policy, "bindings": [*others, *([{**binding, "members": members}] if members else [])]}
        wanted["version"] = _POLICY_VERSION
        try:
            api.call("POST", path, {"policy": wanted}, api=resource.api)
        except Refused as refusal:
            if refusal.status != http.HTTPStatus.CONFLICT:
                raise
        else:
            return


def _policy(type_name: str, state: State, api: Api) -> dict[str, Any]:
    resource = RESOURCES[type_name]
    path = f"{resource.collection.format(**state)}:getIamPolicy"
    if resource.iam == "GET":
        return api.call("GET", path, None, {"options.requestedPolicyVersion": str(_POLICY_VERSION)}, resource.api)
    return api.call("POST", path, {"options": {"requestedPolicyVersion": _POLICY_VERSION}}, api=resource.api)


def _condition(state: State) -> dict[str, Any]:
    conditions = [{key: value for key, value in one.items() if value} for one in state["condition"]]
    return {"condition": conditions[0]} if conditions else {}


def _same(binding: dict[str, Any], state: State) -> bool:
    return binding["role"] == state["role"] and binding.get("condition") == _condition(state).get("condition")


_MEMBER = Special(_grant, _granted, _revoke)
SPECIAL: dict[str, Special] = {
    "google_cloud_run_v2_service_iam_member": _MEMBER,
    "google_logging_project_bucket_config": Special(_bucket),
    "google_logging_project_sink": Special(_sink),
    "google_project_iam_member": _MEMBER,
    "google_project_service": Special(_enable, _enabled, _disable),
    "google_pubsub_topic": Special(_topic),
    "google_pubsub_topic_iam_member": _MEMBER,
}
