"""The questions, in the order in which one explains the next."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from .api import Api, RefusedError, UnreachableError
from .model import Check, Subject
from .shipped import data_root, shipped

# What the library and this command call; terraform/monitoring/iam.tf has the same APIs.
_APIS: Final = {
    "logs": ("logging.googleapis.com",),
    "metrics": ("monitoring.googleapis.com",),
    "traces": ("telemetry.googleapis.com", "cloudtrace.googleapis.com"),
}
# Permission -> role that has it: cloud.google.com/iam/docs/roles-permissions (logging, monitoring, telemetry).
_WRITES: Final = {
    "logs": {"logging.logEntries.create": "roles/logging.logWriter"},
    "metrics": {"monitoring.timeSeries.create": "roles/monitoring.metricWriter"},
    "traces": {
        "telemetry.traces.write": "roles/telemetry.tracesWriter",
        "serviceusage.services.use": "roles/serviceusage.serviceUsageConsumer",
    },
}
_HOSTS: Final = {"logs": "logging", "metrics": "monitoring", "traces": "telemetry"}
# Cloud Monitoring refuses points of the future beyond some minutes, Google's sign-in refuses tokens as early.
_SKEW_SECONDS: Final = 30.0


def examine(subject: Subject, api: Api, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> list[Check]:
    """Every answer.

    Args:
        subject: Whose telemetry.
        api: Where to ask.
        now: This machine's clock.

    Raises:
        UnreachableError: Nobody answers at all.
    """
    api.date("monitoring")
    return [
        _asked("project", lambda: _project(subject, api)),
        *_several("apis", lambda: _apis(subject, api)),
        *_several("permissions", lambda: _permissions(subject, api)),
        _asked("clock", lambda: _clock(api, now)),
        *_several("endpoints", lambda: _endpoints(subject, api)),
        *(_asked(signal, partial(_arrived, signal, subject, api, now)) for signal in sorted(subject.signals)),
        *_several("deployed", lambda: _deployed(subject, api)),
    ]


def _several(name: str, ask: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(ask())
    except (RefusedError, UnreachableError) as error:
        return [_not_told(name, error)]


def _asked(name: str, ask: Callable[[], Check]) -> Check:
    try:
        return ask()
    except (RefusedError, UnreachableError) as error:
        return _not_told(name, error)


def _not_told(name: str, error: Exception) -> Check:
    return Check(name, "unknown", f"could not be looked at: {error}")


def _project(subject: Subject, api: Api) -> Check:
    try:
        found = api.get("cloudresourcemanager", f"v1/projects/{quote(subject.project)}")
    except RefusedError as error:
        if error.code not in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
            raise
        mend = "gcloud projects list" if subject.google else "cloudops up --project " + subject.project
        return Check("project", "finding", f"{subject.project}: {error}", mend)
    state = found.get("lifecycleState", "")
    if state != "ACTIVE":
        return Check(
            "project", "finding", f"{subject.project} is {state}", f"gcloud projects undelete {subject.project}"
        )
    return Check("project", "ok", f"{subject.project} ({found.get('projectNumber', '')})")


def _apis(subject: Subject, api: Api) -> Iterator[Check]:
    if not subject.google:
        yield Check("apis", "note", "the emulator answers every API, enabled or not")
        return
    wanted = [name for signal in sorted(subject.signals) for name in _APIS[signal]]
    parent = f"projects/{subject.project}"
    answer = api.get(
        "serviceusage", f"v1/{parent}/services:batchGet", {"names": [f"{parent}/services/{name}" for name in wanted]}
    )
    on = {one["config"]["name"] for one in answer.get("services", []) if one.get("state") == "ENABLED"}
    off = [name for name in wanted if name not in on]
    if off:
        mend = f"gcloud services enable {' '.join(off)} --project={subject.project}"
        yield Check("apis", "finding", f"not enabled: {', '.join(off)}", mend)
    else:
        yield Check("apis", "ok", f"enabled: {', '.join(wanted)}")


def _permissions(subject: Subject, api: Api) -> Iterator[Check]:
    wanted = {name: role for signal in sorted(subject.signals) for name, role in _WRITES[signal].items()}
    held, untold = _held(subject, api, list(wanted))
    missing = [name for name in wanted if name not in held | untold]
    for name in missing:
        binding = f"--member=serviceAccount:ACCOUNT --role={wanted[name]}"
        mend = f"gcloud projects add-iam-policy-binding {subject.project} {binding}"
        yield Check("permissions", "finding", f"{name} is missing", mend)
    for name in sorted(untold):
        yield Check("permissions", "unknown", f"{name} cannot be tested on a project")
    if not missing:
        whose = "whoever runs this" if subject.google else "everybody: the emulator asks nobody"
        yield Check("permissions", "ok", f"{', '.join(name for name in wanted if name in held)} ({whose})")


def _held(subject: Subject, api: Api, wanted: list[str]) -> tuple[set[str], set[str]]:
    """Which permissions the caller has, and which cannot be tested: one of those spoils the answer for all."""
    path = f"v1/projects/{quote(subject.project)}:testIamPermissions"
    try:
        return set(api.post("cloudresourcemanager", path, {"permissions": wanted}).get("permissions", [])), set()
    except RefusedError as error:
        if error.code != HTTPStatus.BAD_REQUEST:
            raise
        if len(wanted) == 1:
            return set(), set(wanted)
    both = [_held(subject, api, [name]) for name in wanted]
    return set().union(*(held for held, _ in both)), set().union(*(untold for _, untold in both))


def _clock(api: Api, now: Callable[[], datetime]) -> Check:
    before = now()
    theirs = api.date("monitoring")
    off = (theirs - before).total_seconds()
    if abs(off) > _SKEW_SECONDS:
        ahead = "behind" if off > 0 else "ahead"
        mend = "sudo timedatectl set-ntp true"
        if api.address:
            mend = "cloudops up --clock real"
        return Check("clock", "finding", f"this machine is {abs(off):.0f} s {ahead} of {api.base('monitoring')}", mend)
    return Check("clock", "ok", f"within {_SKEW_SECONDS:.0f} s of {api.base('monitoring')}")


def _endpoints(subject: Subject, api: Api) -> Iterator[Check]:
    if not subject.google:
        return
    for signal in sorted(subject.signals):
        host = _HOSTS[signal]
        try:
            api.date(host)
        except UnreachableError as error:
            mend = f"curl -sS -o /dev/null -w '%{{http_code}}\\n' https://{host}.googleapis.com/"
            yield Check("endpoints", "finding", str(error), mend)
        else:
            yield Check("endpoints", "ok", f"https://{host}.googleapis.com answers")


def _arrived(signal: str, subject: Subject, api: Api, now: Callable[[], datetime]) -> Check:
    look: dict[str, Callable[[Subject, Api, datetime], str]] = {"logs": _logs, "metrics": _metrics, "traces": _traces}
    # By the clock of who keeps them.
    found = look[signal](subject, api, api.date(_HOSTS[signal]) if api.address else now())
    if found:
        return Check(signal, "ok", found)
    who = f"{subject.service} in {subject.environment}"
    return Check(
        signal, "finding", f"no {signal} of {who} in the last {subject.minutes:g} minutes", _mend(signal, subject)
    )


def _mend(signal: str, subject: Subject) -> str:
    if not subject.google:
        who = f"--service {subject.service} --env ENVIRONMENT={subject.environment}"
        return f"cloudops run {who} -- uvicorn main:app --port 8080"
    settings = {
        "logs": "LOG_LEVEL=INFO ACCESS_LOG=all",
        "metrics": "ENABLE_METRICS=true",
        "traces": "ENABLE_TRACING=true TRACE_SAMPLE_RATE=0.1",
    }
    pairs = settings[signal].replace(" ", ",")
    names = f"SERVICE_NAME={subject.service},ENVIRONMENT={subject.environment}"
    return f"gcloud run services update {subject.service} --update-env-vars={names},{pairs} --project={subject.project}"


def _logs(subject: Subject, api: Api, now: datetime) -> str:
    since = (now - timedelta(minutes=subject.minutes)).isoformat()
    query = f'labels.service="{subject.service}" labels.environment="{subject.environment}" timestamp>="{since}"'
    body = {
        "resourceNames": [f"projects/{subject.project}"],
        "filter": query,
        "orderBy": "timestamp desc",
        "pageSize": 1,
    }
    entries = api.post("logging", "v2/entries:list", body).get("entries", [])
    return f"the newest entry is of {entries[0]['timestamp'][:19]}Z, in {entries[0]['logName']}" if entries else ""


def _metrics(subject: Subject, api: Api, now: datetime) -> str:
    del now  # asked at the other side's present
    name = "service_info"
    if subject.metrics_domain != "prometheus":
        name = f"{subject.metrics_domain}_googleapis_com:{subject.metrics_namespace}_{name}"
    window = f"{max(round(subject.minutes * 60), 1)}s"
    query = f'count(last_over_time({name}{{job="{subject.service}",namespace="{subject.environment}"}}[{window}]))'
    path = f"v1/projects/{subject.project}/location/global/prometheus/api/v1/query"
    result = api.get("monitoring", path, {"query": query}).get("data", {}).get("result", [])
    return f"{name} of {result[0]['value'][1]} processes" if result else ""


def _traces(subject: Subject, api: Api, now: datetime) -> str:
    since = (now - timedelta(minutes=subject.minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = {"filter": f'+service.name:"{subject.service}"', "startTime": since, "pageSize": 1, "view": "MINIMAL"}
    traces = api.get("cloudtrace", f"v1/projects/{subject.project}/traces", query).get("traces", [])
    return f"among others {traces[0]['traceId']}" if traces else ""


def _deployed(subject: Subject, api: Api) -> Iterator[Check]:
    wanted = shipped(subject)
    project = f"projects/{subject.project}"
    policies = api.every("monitoring", f"v3/{project}/alertPolicies", "alertPolicies")
    yield _there("policies", wanted.policies, policies, subject)
    mine = [one for one in policies if str(one.get("displayName", "")).endswith(subject.label)]
    silent = [one["displayName"] for one in mine if not one.get("notificationChannels")]
    if silent:
        mend = _apply(subject) + (" --webhook NAME=URL" if not subject.google else "")
        yield Check(
            "channels", "finding", f"{len(silent)} of {len(mine)} policies tell nobody, such as: {silent[0]}", mend
        )
    elif mine:
        yield Check("channels", "ok", f"each of {len(mine)} policies has a channel")
    dashboards = api.every("monitoring", f"v1/{project}/dashboards", "dashboards")
    yield _there("dashboards", wanted.dashboards, dashboards, subject)
    checks = api.every("monitoring", f"v3/{project}/uptimeCheckConfigs", "uptimeCheckConfigs")
    yield _there("uptime checks", wanted.uptime_checks, checks, subject)


def _there(name: str, wanted: dict[str, str], there: list[dict[str, Any]], subject: Subject) -> Check:
    titles = {str(one.get("displayName", "")) for one in there}
    own = sum(title.endswith(subject.label) for title in titles)
    missing = [file for file, title in wanted.items() if title not in titles]
    if missing:
        return Check(
            name,
            "finding",
            f"{own} of {subject.label} there; missing: {', '.join(sorted(missing))}",
            _apply(subject),
        )
    return Check(name, "ok", f"{own} of {subject.label}, all that are on by default among them")


def _apply(subject: Subject) -> str:
    if subject.google:
        return 'terraform apply  # with module "monitoring", terraform/monitoring/README.md'
    values = f"--var service={subject.service} --var environment={subject.environment} --var host=localhost"
    project = "" if subject.project == "demo" else f" --project {subject.project}"
    return f"cloudops apply {data_root()}{project} {values}"
