"""From files to checked definitions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from google.cloud.logging_v2.types import LogMetric
from google.cloud.monitoring_dashboard_v1 import types as dashboard_types
from google.protobuf import json_format

from ..alerting.messages import AlertPolicy, Raw
from ..alerting.validation import check_new_policy, check_policy
from ..logging.buckets import Buckets
from ..logging.metric_rules import check_metric
from ..monitoring.store import MetricStore
from ..project import Context
from ..services.messages import Service, ServiceLevelObjective
from ..services.rules import check_slo
from ..status import ApiError
from ..uptime.messages import UptimeCheckConfig
from ..uptime.rules import check_uptime
from .catalogue import INPUTS, MADE_OF, PLATFORMS, SLO_SERVICE, template_values
from .defaults import ALL, FILE, check_choice, defaults, is_on
from .document import Document, parse
from .errors import DefinitionError, at, closest
from .shape import problems
from .template import known_names, names, render

Kind = Literal["dashboard", "log_metric", "policy", "slo", "uptime_check"]

_DASHBOARD: Any = dashboard_types.Dashboard.pb()
MESSAGES: Mapping[Kind, Any] = {
    "dashboard": _DASHBOARD,
    "log_metric": LogMetric.pb(),
    "policy": AlertPolicy,
    "slo": ServiceLevelObjective,
    "uptime_check": UptimeCheckConfig,
}
# In this order they are applied: policies name uptime checks, and metrics made of log entries.
FOLDERS: Mapping[Kind, str] = {
    "uptime_check": "uptime_checks",
    "log_metric": "log_metrics",
    "policy": "policies",
    "slo": "slos",
    "dashboard": "dashboards",
}
_KINDS: Mapping[str, Kind] = {folder: kind for kind, folder in FOLDERS.items()} | {"alerts": "policy"}
_LAYOUTS = {"gridLayout", "mosaicLayout", "rowLayout", "columnLayout"}
_FILE = re.compile(r"(?P<key>.+?)\.(?P<format>yaml|yml|json)(?P<template>\.tftpl)?")
_API_FIELD = re.compile(
    r"^(?:Field |Request was missing field )"
    r"(?:alert_policy|uptime_check_config|service_level_objective|metric)\.([\w.\[\]]+)"
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose objectives these are."""

    service: str
    environment: str
    slo_service: str = ""
    """An existing service of Monitoring that gets them (`projects/ID/services/ID`); otherwise one is made."""

    @property
    def name(self) -> str:
        return f"{self.service}-{self.environment}"

    @property
    def service_id(self) -> str:
        return self.slo_service.rpartition("/")[2] or self.name

    def slo_id(self, key: str) -> str:
        """The id that terraform/monitoring/slos.tf gives to the objective of this file."""
        return f"{self.name}-{key.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Definition:
    """One API object as a file says it, in the API's own JSON shape."""

    kind: Kind
    key: str
    """The file's name without its endings."""
    file: Path
    data: dict[str, Any]
    document: Document
    warnings: tuple[str, ...] = field(default=())
    owner: Owner | None = None
    """Known where the service and its environment are."""

    @property
    def display_name(self) -> str:
        """What tells it from others of its kind; Cloud Logging's metrics have a name instead."""
        name: str = self.data["name" if self.kind == "log_metric" else "displayName"]
        return name

    def message(self) -> Raw:
        """The object as Google's message; unknown fields of a dashboard are left out."""
        return json_format.ParseDict(self.data, MESSAGES[self.kind](), ignore_unknown_fields=self.kind == "dashboard")

    def at(self, path: str, reason: str) -> str:
        return at(self.file, self.document.line(path), f"{path}: {reason}" if path else reason)


def load(path: Path, variables: Mapping[str, Any] | None = None, more_names: Sequence[str] = ()) -> list[Definition]:
    """Read one file, or a folder.

    A folder holds `policies/`, `dashboards/`, `uptime_checks/`, `slos/` and `log_metrics/`, or loose files at any
    depth. What a file is, its folder says, else its content. `*.yaml`, `*.yml` and `*.json` are read as they are, the
    same with `.tftpl` after rendering. Unknown fields are warnings in dashboards, errors everywhere else.

    Args:
        path: File or folder.
        variables: What `--var` gave: arguments of `template_values`, and names of the user's own templates.
        more_names: Further names that `variables` may hold although no file uses them (such as channels).

    Raises:
        DefinitionError: All problems of all files, each with file, line, field and reason.
    """
    given = dict(variables or {})
    numbers = {name: value for name, value in given.items() if name.startswith("thresholds.")}
    try:
        inputs = {name: given[name] for name in INPUTS if name in given and name != SLO_SERVICE}
        values = template_values(**inputs, given_thresholds=numbers) | given
    except DefinitionError:
        raise
    except (TypeError, ValueError) as error:
        raise DefinitionError(str(error)) from error
    owner = _owner(given)
    found: list[Definition] = []
    wrong: list[str] = []
    used: set[str] = set()
    files = list(_chosen(path, given))
    if missing := _missing(files, values):
        raise DefinitionError(*missing)
    for file in files:
        try:
            definition, named = _read(file, values)
        except DefinitionError as error:
            wrong += error.problems
            # Its names count as used: a file that fails for another reason must not blame --var as well.
            used.update(names(_text(file)))
        else:
            found.append(replace(definition, owner=owner))
            used |= named
    known = {*INPUTS, *known_names(values), *used, *more_names} - (given.keys() - used - {*INPUTS, *more_names})
    for name in given:
        if name not in known and name not in {"scope", "metrics"} and not name.startswith("thresholds."):
            wrong.append(f"--var {name}: no file uses it{closest(name, known)} (known: {', '.join(_short(known))})")
    wrong += _twins(found)
    if wrong:
        raise DefinitionError(*wrong)
    if not found:
        raise DefinitionError(f"{path}: no definition here (files end in .yaml, .json, .yaml.tftpl or .json.tftpl)")
    return sorted(found, key=lambda one: (list(FOLDERS).index(one.kind), str(one.file)))


def _missing(files: Sequence[Path], values: Mapping[str, Any]) -> list[str]:
    """One line for each argument that templates need and nobody gave, however many of them do."""
    places: dict[str, list[tuple[Path, int]]] = {}
    for file in files:
        if not file.name.endswith(".tftpl"):
            continue
        text = _text(file)
        for name in names(text):
            line = text.count("\n", 0, text.find("${" + name)) + 1
            for wanted in MADE_OF.get(name.partition(".")[0], (name,)):
                if wanted in INPUTS and wanted not in values:
                    places.setdefault(wanted, []).append((file, line))
    told = []
    for wanted in sorted(places, key=INPUTS.index):
        file, line = min(places[wanted])
        others = len({one for one, _ in places[wanted]}) - 1
        also = f", here and in {others} other {'file' if others == 1 else 'files'}" if others else ""
        told.append(at(file, line, f"${{{wanted}}} has no value{also}; give it one: --var {wanted}=VALUE"))
    return told


def _owner(given: Mapping[str, Any]) -> Owner | None:
    service, environment = given.get("service"), given.get("environment")
    if not service or not environment:
        return None
    return Owner(str(service), str(environment), str(given.get(SLO_SERVICE) or ""))


def _short(known: set[str]) -> list[str]:
    made = ("metrics.", "metric_types.", "thresholds.", "tiers.", "resources.", "resource_filters.", "by.")
    return sorted(name for name in known if not name.startswith(made))


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise DefinitionError(f"{path}: no such file or folder")
    folders = [path / name for name in FOLDERS.values() if (path / name).is_dir()]
    for folder in folders or [path]:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and _FILE.fullmatch(file.name) and not file.name.startswith("."):
                yield file


def _chosen(path: Path, given: Mapping[str, Any]) -> Iterator[Path]:
    """Of a folder with `defaults.yaml`, the files of the platform, and the policies that are on."""
    if not (path / FILE).is_file():
        yield from _files(path)
        return
    platform = given.get("platform", PLATFORMS[0])
    choice = str(given.get("policies", ALL))
    files = list(_files(path))
    check_choice(choice, {file.name.partition(".")[0] for file in files if "policies" in file.parts})
    on = defaults(path / FILE).policies
    for file in files:
        other = file.parent.name in PLATFORMS and file.parent.name != platform
        policy = path / "policies" in file.parents
        if not other and (not policy or is_on(file.name.partition(".")[0], choice, on)):
            yield file


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(at(file, None, f"cannot be read: {error}")) from error


def _read(file: Path, values: Mapping[str, Any]) -> tuple[Definition, set[str]]:
    name = _FILE.fullmatch(file.name)
    if name is None:
        raise DefinitionError(
            at(file, None, "the name must end in .yaml, .yml or .json, or in one of these and .tftpl")
        )
    text = _text(file)
    used: set[str] = set()
    if name["template"]:
        used = set(names(text))
        text = render(text, values, str(file), inside_json=name["format"] == "json")
    document = parse(text, str(file))
    if not isinstance(document.data, dict):
        raise DefinitionError(at(file, 1, "must hold one object, such as an alert policy"))
    kind = _kind(file, document.data)
    wrong, warnings = _check(Definition(kind, name["key"], file, document.data, document))
    if wrong:
        raise DefinitionError(*wrong)
    return Definition(kind, name["key"], file, document.data, document, tuple(warnings)), used


def _kind(file: Path, data: Mapping[str, Any]) -> Kind:
    for folder in file.parts[-2::-1]:
        if folder in _KINDS:
            return _KINDS[folder]
    if "conditions" in data or "combiner" in data:
        return "policy"
    if _LAYOUTS & data.keys() or "dashboardFilters" in data:
        return "dashboard"
    if {"httpCheck", "tcpCheck", "monitoredResource", "syntheticMonitor"} & data.keys():
        return "uptime_check"
    if "serviceLevelIndicator" in data:
        return "slo"
    if {"metricDescriptor", "labelExtractors", "valueExtractor"} & data.keys():
        return "log_metric"
    raise DefinitionError(
        at(
            file,
            1,
            "is neither an alert policy (conditions), a dashboard (a layout), an uptime check (httpCheck), "
            "an objective (serviceLevelIndicator) nor a log-based metric (metricDescriptor)",
        )
    )


def _check(definition: Definition) -> tuple[list[str], list[str]]:
    """Errors and warnings: the shape first, then what the API would refuse."""
    wrong: list[str] = []
    warnings: list[str] = []
    tolerated: dict[str, list[str]] = {}
    for problem in problems(definition.data, MESSAGES[definition.kind].DESCRIPTOR):
        if definition.kind == "dashboard" and problem.unknown:
            tolerated.setdefault(problem.reason, []).append(problem.path)
        else:
            wrong.append(definition.at(problem.path, problem.reason))
    for reason, paths in tolerated.items():
        more = f" (and {len(paths) - 1} more like it)" if len(paths) > 1 else ""
        warnings.append(definition.at(paths[0], reason + more))
    if wrong:
        return wrong, warnings
    name = "name" if definition.kind == "log_metric" else "displayName"
    if not definition.data.get(name):
        return [definition.at(name, "is missing: it is what tells one object from another")], warnings
    try:
        message = definition.message()
    except (json_format.ParseError, ValueError) as error:
        # An enum value that only a newer message knows; the dashboard is passed on as raw JSON all the same.
        (warnings if definition.kind == "dashboard" else wrong).append(definition.at("", str(error)))
        return wrong, warnings
    try:
        _refuse(definition.kind, message)
    except ApiError as error:
        wrong.append(definition.at(_camel_path(error.message), error.message))
    return wrong, warnings


def _refuse(kind: Kind, message: Raw) -> None:
    """Raise what the API would answer, as far as that can be known without its project."""
    if kind == "policy":
        check_new_policy(message)
        check_policy(message, None, None)
    elif kind == "uptime_check":
        check_uptime(message)
    elif kind == "slo":
        # Whether a basic indicator fits its service, the server knows; no metric is known here, so each kind fits.
        known = Service(cloud_run={"service_name": "any", "location": "any"})
        check_slo(message, known, MetricStore())
    elif kind == "log_metric":
        # Whether its bucket exists, the server knows.
        anywhere = MESSAGES[kind]()
        anywhere.CopyFrom(message)
        anywhere.ClearField("bucket_name")
        context = Context()
        check_metric(anywhere, context, Buckets(context, lambda _: None))


def _camel_path(message: str) -> str:
    """The document's path for the field that an API error names."""
    match = _API_FIELD.match(message)
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), match[1]) if match else ""


def _twins(definitions: Sequence[Definition]) -> Iterator[str]:
    """Two objects of one kind and name: `apply` could not tell them apart, and neither could a person."""
    seen: dict[tuple[Kind, str], Path] = {}
    for one in definitions:
        other = seen.setdefault((one.kind, one.display_name), one.file)
        if other is not one.file:
            yield one.at("displayName", f'"{one.display_name}" is also the name in {other}')
