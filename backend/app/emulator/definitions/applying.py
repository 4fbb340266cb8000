"""Bring definitions into an emulator (or whatever answers the same REST paths): all of them, or none."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from google.api import metric_pb2
from google.protobuf import json_format

from ..alerting.messages import AlertPolicy, NotificationChannel, Raw
from ..alerting.metric_names import KnownMetrics
from ..alerting.validation import check_metrics
from ..status import ApiError
from ..uptime.messages import UptimeCheckConfig
from ..uptime.rules import fill_defaults
from .errors import DefinitionError, closest
from .loading import Definition, Kind
from .routes import Routes, renotify, route

_MARKER = re.compile(r"@uptime:([a-z0-9_-]+)")
_TIMEOUT_SECONDS = 30.0
_SERVER_SIDE = ("name", "etag", "creationRecord", "mutationRecord", "mutationRecords", "validity", "verificationStatus")


class _Collection:
    def __init__(self, path: str, key: str, version: str = "v3") -> None:
        self.path, self.key, self.version = path, key, version


_COLLECTIONS: Mapping[str, _Collection] = {
    "channel": _Collection("notificationChannels", "notificationChannels"),
    "uptime_check": _Collection("uptimeCheckConfigs", "uptimeCheckConfigs"),
    "policy": _Collection("alertPolicies", "alertPolicies"),
    "dashboard": _Collection("dashboards", "dashboards", "v1"),
}
_ORDER: Sequence[Kind] = ("uptime_check", "policy", "dashboard")


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one object."""

    kind: Literal["policy", "dashboard", "uptime_check", "channel"]
    name: str
    display_name: str
    action: Literal["created", "updated", "unchanged"]
    file: str


def apply(
    definitions: Sequence[Definition],
    http_address: str,
    project: str,
    *,
    channels: Mapping[str, str] | None = None,
    routes: Routes | None = None,
    client: httpx.Client | None = None,
) -> list[Applied]:
    """Create what is not there and update what differs.

    An object is found again by its `displayName`, which carries service and environment, as it does in Terraform; two
    objects of one name on the server are an error. A policy that names no channel gets those of its route (`routes`,
    keyed by priority and team, of names in `channels`); without `routes` every channel hears of every policy.

    Everything that can be known is checked before the first write: names, markers, routes, metrics, dashboards by
    `validateOnly`. When a write fails all the same, the writes before it are undone.

    Args:
        definitions: What `load` answered.
        http_address: `127.0.0.1:8086` or `http://127.0.0.1:8086`.
        project: Project id.
        channels: Webhooks to create, name -> URL.
        routes: priority -> team -> names in `channels`; `default` stands for any.
        client: To use instead of one made here.

    Raises:
        DefinitionError: The server or the definitions do not allow it; nothing was changed.
    """
    base = (http_address if "://" in http_address else f"http://{http_address}").rstrip("/")
    if client is not None:
        return _Application(client, base, project).run(definitions, channels or {}, routes)
    # trust_env: a proxy in the environment must not get between a laptop and its own emulator.
    with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as own:
        return _Application(own, base, project).run(definitions, channels or {}, routes)


class _Application:
    def __init__(self, client: httpx.Client, base: str, project: str) -> None:
        self._client = client
        self._base = base
        self._project = project
        self._present: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self._undo: list[Callable[[], object]] = []

    def run(
        self, definitions: Sequence[Definition], channels: Mapping[str, str], routes: Routes | None
    ) -> list[Applied]:
        routes = routes if routes is not None else {"default": {"default": list(channels)}}
        self._read_present(definitions, channels)
        self._check(definitions, channels, routes)
        applied: list[Applied] = []
        try:
            names: dict[str, str] = {}
            for name, url in channels.items():
                channel = {"type": "webhook_tokenauth", "displayName": name, "labels": {"url": url}}
                done, answer = self._put("channel", channel, "--var")
                names[name] = answer["name"]
                applied.append(done)
            ids: dict[str, str] = {}
            for kind in _ORDER:
                for definition in (one for one in definitions if one.kind == kind):
                    data = self._final(definition, ids, names, routes)
                    done, answer = self._put(kind, data, str(definition.file))
                    if kind == "uptime_check":
                        ids[definition.key] = answer["name"].rpartition("/")[2]
                    applied.append(done)
        except DefinitionError as error:
            raise DefinitionError(*error.problems, *self._take_back()) from error
        return applied

    def _final(
        self, definition: Definition, ids: Mapping[str, str], names: Mapping[str, str], routes: Routes
    ) -> dict[str, Any]:
        data = copy.deepcopy(definition.data)
        if definition.kind == "policy":
            data["conditions"] = _with_ids(data["conditions"], ids)
            routed = [names[name] for name in route(routes, data.get("userLabels", {}))]
            if routed and not data.get("notificationChannels"):
                data["notificationChannels"] = routed
                renotify(data)
        return data

    def _read_present(self, definitions: Sequence[Definition], channels: Mapping[str, str]) -> None:
        kinds = {one.kind for one in definitions} | ({"channel"} if channels else set())
        for kind in kinds:
            by_name = self._present.setdefault(kind, {})
            for item in self._list(kind):
                by_name.setdefault(item.get("displayName", ""), []).append(item)

    def _list(self, kind: str) -> list[dict[str, Any]]:
        collection = _COLLECTIONS[kind]
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            answer = self._call(
                "GET",
                f"{collection.version}/projects/{self._project}/{collection.path}",
                params={"pageSize": 1000} | ({"pageToken": token} if token else {}),
            )
            found += answer.get(collection.key, [])
            token = answer.get("nextPageToken", "")
            if not token:
                return found

    def _check(self, definitions: Sequence[Definition], channels: Mapping[str, str], routes: Routes) -> None:
        wrong: list[str] = []
        checks = {one.key for one in definitions if one.kind == "uptime_check"}
        wanted = [(one.kind, one.display_name) for one in definitions] + [("channel", name) for name in channels]
        for kind, name in wanted:
            if len(self._present[kind].get(name, [])) > 1:
                wrong.append(f'"{name}": the server has several objects of this name; delete all but one')
        for one in definitions:
            if one.kind == "policy":
                wrong += [
                    one.at("conditions", f"@uptime:{key} names no uptime check{closest(key, checks)}")
                    for key in _markers(one.data["conditions"])
                    if key not in checks
                ]
                wrong += [
                    one.at("userLabels", f"the route leads to {name}, which is no channel{closest(name, channels)}")
                    for name in route(routes, one.data.get("userLabels", {}))
                    if name not in channels
                ]
            if one.kind == "dashboard":
                wrong += self._refused_dashboard(one)
        wrong += self._unknown_metrics([one for one in definitions if one.kind == "policy"])
        if wrong:
            raise DefinitionError(*wrong)

    def _refused_dashboard(self, definition: Definition) -> list[str]:
        try:
            self._call(
                "POST", f"v1/projects/{self._project}/dashboards", json=definition.data, params={"validateOnly": "true"}
            )
        except DefinitionError as error:
            return [definition.at("", problem) for problem in error.problems]
        return []

    def _unknown_metrics(self, policies: Sequence[Definition]) -> list[str]:
        """What the server would say of metrics it has never seen."""
        messages = [(one, one.message()) for one in policies]
        if all(_skips_metric_validation(message) for _, message in messages):
            return []
        answer = self._call("GET", f"v3/projects/{self._project}/metricDescriptors", params={"pageSize": 10_000})
        described = [
            json_format.ParseDict(item, metric_pb2.MetricDescriptor(), ignore_unknown_fields=True)
            for item in answer.get("metricDescriptors", [])
        ]
        wrong: list[str] = []
        for one, message in messages:
            try:
                check_metrics(message, KnownMetrics(lambda: described))
            except ApiError as error:
                wrong.append(one.at("conditions", f"{error.message} {_TAKE_ALL_THE_SAME}"))
        return wrong

    def _put(self, kind: str, data: dict[str, Any], file: str) -> tuple[Applied, dict[str, Any]]:
        collection = _COLLECTIONS[kind]
        present = self._present[kind].get(data["displayName"], [])
        if not present:
            answer = self._call(
                "POST", f"{collection.version}/projects/{self._project}/{collection.path}", json=data, about=file
            )
            self._undo.append(lambda: self._call("DELETE", f"{collection.version}/{answer['name']}"))
            return Applied(kind, answer["name"], data["displayName"], "created", file), answer  # type: ignore[arg-type]  # kind is one of them
        old = present[0]
        if _same(kind, data, old, self._project):
            return Applied(kind, old["name"], data["displayName"], "unchanged", file), old  # type: ignore[arg-type]  # as above
        body = data | {"name": old["name"]}
        if kind == "policy":
            body["conditions"] = _with_kept_names(data["conditions"], old.get("conditions", []))
        answer = self._call("PATCH", f"{collection.version}/{old['name']}", json=body, about=file)
        restored = {key: value for key, value in old.items() if key not in {"etag", "verificationStatus"}}
        self._undo.append(lambda: self._call("PATCH", f"{collection.version}/{old['name']}", json=restored))
        return Applied(kind, old["name"], data["displayName"], "updated", file), answer  # type: ignore[arg-type]  # as above

    def _take_back(self) -> list[str]:
        left: list[str] = []
        for undo in reversed(self._undo):
            try:
                undo()
            except DefinitionError as error:
                left += [f"could not be undone: {problem}" for problem in error.problems]
        return left

    def _call(
        self,
        verb: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str | int] | None = None,
        about: str = "",
    ) -> dict[str, Any]:
        try:
            response = self._client.request(verb, f"{self._base}/{path}", json=json, params=params)
        except httpx.HTTPError as error:
            raise DefinitionError(
                f"{self._base} does not answer ({str(error) or type(error).__name__}): is `cloudops up` running there?"
            ) from error
        try:
            answer = response.json() if response.content else {}
        except ValueError:
            answer = {}
        if response.is_success and isinstance(answer, dict):
            return answer
        reason = answer.get("error", {}).get("message") if isinstance(answer, dict) else None
        prefix = f"{about}: " if about else ""
        raise DefinitionError(
            f"{prefix}{verb} {path} was refused with {response.status_code}: {reason or response.text}"
        )


def _markers(value: Any) -> list[str]:
    if isinstance(value, str):
        return _MARKER.findall(value)
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [key for one in children for key in _markers(one)]


def _with_ids(value: Any, ids: Mapping[str, str]) -> Any:
    """The same with `@uptime:<key>` replaced by the check's id."""
    if isinstance(value, str):
        return _MARKER.sub(lambda match: ids[match[1]], value)
    if isinstance(value, dict):
        return {key: _with_ids(one, ids) for key, one in value.items()}
    return [_with_ids(one, ids) for one in value] if isinstance(value, list) else value


def _with_kept_names(conditions: Sequence[dict[str, Any]], old: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each condition the name of the old one that it is meant to change: that of its name, else of its place."""
    by_name = {one.get("displayName"): one["name"] for one in old}
    kept: list[dict[str, Any]] = []
    used: set[str] = set()
    for index, condition in enumerate(conditions):
        name = by_name.get(condition.get("displayName")) or (old[index]["name"] if index < len(old) else None)
        kept.append(condition | ({"name": name} if name and name not in used else {}))
        used.add(name or "")
    return kept


# The cloud refuses these too, until somebody has written the metric.
_TAKE_ALL_THE_SAME = "An emulator started by `cloudops up --switch metric_validation=false` takes it all the same."


def _skips_metric_validation(policy: Raw) -> bool:
    return all(
        condition.condition_prometheus_query_language.disable_metric_validation
        if condition.HasField("condition_prometheus_query_language")
        else not (condition.HasField("condition_threshold") or condition.HasField("condition_absent"))
        for condition in policy.conditions
    )


def _same(kind: str, wanted: Mapping[str, Any], present: Mapping[str, Any], project: str) -> bool:
    """Whether the server would hold the same after a write, its own fields and defaults aside."""
    if kind == "dashboard":
        return {k: v for k, v in wanted.items() if k not in _SERVER_SIDE} == {
            k: v for k, v in present.items() if k not in _SERVER_SIDE
        }
    message = {"policy": AlertPolicy, "uptime_check": UptimeCheckConfig, "channel": NotificationChannel}[kind]
    return bool(_normal(kind, wanted, message(), project) == _normal(kind, present, message(), project))


def _normal(kind: str, data: Mapping[str, Any], message: Raw, project: str) -> Raw:
    kept = {key: value for key, value in data.items() if key not in _SERVER_SIDE}
    json_format.ParseDict(kept, message, ignore_unknown_fields=True)
    if kind == "uptime_check":
        fill_defaults(message, project)
        return message
    if not message.HasField("enabled"):
        message.enabled.value = True
    if kind == "policy":
        for condition in message.conditions:
            condition.ClearField("name")
        if message.documentation.content and not message.documentation.mime_type:
            message.documentation.mime_type = "text/markdown"
    return message
