"""Bring definitions into an emulator (or whatever answers the same REST paths): all of them, or none."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from google.api import metric_pb2
from google.protobuf import json_format

from ..alerting.messages import Raw
from ..alerting.metric_names import KnownMetrics
from ..alerting.validation import check_metrics
from ..logging.metric_rules import describe
from ..project import Context
from ..status import ApiError
from .errors import DefinitionError, closest
from .loading import FOLDERS, Definition
from .places import PLACES, Held, path_of, same
from .routes import Routes, renotify, route

_MARKER = re.compile(r"@uptime:([a-z0-9_-]+)")
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one object."""

    kind: Held
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

    An object is found again by its `displayName`, which carries service and environment; two objects of one name on the
    server are an error. Objectives and log-based metrics have ids, the same as in Terraform, and objectives get a
    service in Monitoring unless there is one for them (`slo_service`). A policy that names no channel gets those of its
    route (`routes`, keyed by priority and team, of names in `channels`); without `routes` every channel hears of every
    policy.

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
            applied += [self._put("service", data, "--var")[0] for data in self._services(definitions)]
            ids: dict[str, str] = {}
            for kind in FOLDERS:
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
        elif definition.kind == "slo" and definition.owner is not None:
            place = f"projects/{self._project}/services/{definition.owner.service_id}"
            data["name"] = f"{place}/serviceLevelObjectives/{definition.owner.slo_id(definition.key)}"
        return data

    def _services(self, definitions: Sequence[Definition]) -> list[dict[str, Any]]:
        """The services that objectives need, as terraform/monitoring/slos.tf makes them."""
        owners = {one.owner for one in definitions if one.kind == "slo"}
        return [
            {
                "name": f"projects/{self._project}/services/{owner.name}",
                "displayName": owner.name,
                "userLabels": {"environment": owner.environment, "service": owner.service},
                "custom": {},
            }
            for owner in owners
            if owner is not None and not owner.slo_service
        ]

    def _read_present(self, definitions: Sequence[Definition], channels: Mapping[str, str]) -> None:
        kinds: set[Held] = {one.kind for one in definitions}
        if channels:
            kinds.add("channel")
        if "slo" in kinds:
            kinds.add("service")
        for kind in kinds:
            by_name = self._present.setdefault(kind, {})
            for item in self._list(kind):
                by_name.setdefault(item.get(PLACES[kind].identity, ""), []).append(item)

    def _list(self, kind: Held) -> list[dict[str, Any]]:
        place = PLACES[kind]
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            answer = self._call(
                "GET",
                place.collection.format(project=self._project),
                params={"pageSize": 1000} | ({"pageToken": token} if token else {}),
            )
            found += answer.get(place.key, [])
            token = answer.get("nextPageToken", "")
            if not token:
                return found

    def _check(self, definitions: Sequence[Definition], channels: Mapping[str, str], routes: Routes) -> None:
        wrong: list[str] = []
        checks = {one.key for one in definitions if one.kind == "uptime_check"}
        wanted: list[tuple[Held, str]] = [(one.kind, one.display_name) for one in definitions]
        for kind, name in [*wanted, *(("channel", name) for name in channels)]:
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
            if one.kind == "slo" and one.owner is None:
                wrong.append(
                    one.at("", "an objective belongs to a service: give it --var service= and --var environment=")
                )
        wrong += self._unknown_metrics(definitions)
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

    def _unknown_metrics(self, definitions: Sequence[Definition]) -> list[str]:
        """What the server would say of metrics it has never seen, but for those that are made here."""
        messages = [(one, one.message()) for one in definitions if one.kind == "policy"]
        if all(_skips_metric_validation(message) for _, message in messages):
            return []
        answer = self._call("GET", f"v3/projects/{self._project}/metricDescriptors", params={"pageSize": 10_000})
        described = [
            json_format.ParseDict(item, metric_pb2.MetricDescriptor(), ignore_unknown_fields=True)
            for item in answer.get("metricDescriptors", [])
        ]
        context = Context(project_id=self._project)
        described += [describe(one.message(), context) for one in definitions if one.kind == "log_metric"]
        wrong: list[str] = []
        for one, message in messages:
            try:
                check_metrics(message, KnownMetrics(lambda: described))
            except ApiError as error:
                wrong.append(one.at("conditions", f"{error.message} {_TAKE_ALL_THE_SAME}"))
        return wrong

    def _put(self, kind: Held, data: dict[str, Any], file: str) -> tuple[Applied, dict[str, Any]]:
        place, title = PLACES[kind], str(data.get("displayName") or data["name"])
        present = self._present[kind].get(data[place.identity], [])
        if not present:
            path, query, body = self._creation(kind, data)
            answer = self._call("POST", path, json=body, params=query, about=file)
            self._undo.append(lambda: self._call("DELETE", path_of(kind, answer["name"], self._project)))
            return Applied(kind, answer["name"], title, "created", file), answer
        old = present[0]
        if same(kind, data, old, self._project):
            return Applied(kind, old["name"], title, "unchanged", file), old
        body = data | {"name": old["name"]}
        if kind == "policy":
            body["conditions"] = _with_kept_names(data["conditions"], old.get("conditions", []))
        there = path_of(kind, old["name"], self._project)
        answer = self._call(place.update, there, json=body, about=file)
        restored = {key: value for key, value in old.items() if key not in {"etag", "verificationStatus"}}
        self._undo.append(lambda: self._call(place.update, there, json=restored))
        return Applied(kind, old["name"], title, "updated", file), answer

    def _creation(self, kind: Held, data: dict[str, Any]) -> tuple[str, dict[str, str | int] | None, dict[str, Any]]:
        """Path, query and body; what is found again by its name says it in the query, but for log-based metrics."""
        if kind not in {"service", "slo"}:
            return PLACES[kind].collection.format(project=self._project), None, data
        parent, _, identifier = data["name"].rpartition("/")
        query = "serviceId" if kind == "service" else "serviceLevelObjectiveId"
        return f"v3/{parent}", {query: identifier}, {key: value for key, value in data.items() if key != "name"}

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
