"""Files in, findings and prices out."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..definitions import DefinitionError, data_root, load
from ..definitions.catalogue import template_values
from ..definitions.document import parse
from ..definitions.loading import FOLDERS, Definition
from ..definitions.template import render
from . import objects
from .catalogue import catalogue as check_catalogue
from .finding import LEVELS, Finding, Level
from .known import Metrics
from .places import Place, Places, in_template
from .prices import MetricPrice, PolicyPrice, metric_price, policy_price
from .queries import Reading

_FILE = re.compile(r".+\.(?:yaml|yml|json)(?:\.tftpl)?")
_PROBLEM = re.compile(r"(?P<file>.*?):(?P<line>\d+): (?P<rest>.*)", re.DOTALL)
_FIELD = re.compile(r"(?P<field>[A-Za-z_][\w.\[\]-]*): (?P<reason>.*)", re.DOTALL)
_POSITION = re.compile(r"cannot be parsed as PromQL: .*\(?at character (\d+)", re.DOTALL)
_NEITHER = "is neither an alert policy"
# What templates of the project ask for; lint is about the files, not about one service.
_VALUES: Mapping[str, Any] = {
    "service": "service",
    "environment": "environment",
    "project": "project",
    "location": "europe-west1",
    "host": "service.example.com",
}


class Options(NamedTuple):
    variables: Mapping[str, Any] = {}
    catalogues: Sequence[Path] = ()
    instances: int = 3
    """For prices: how many instances the service has."""
    export_seconds: float = 60.0
    runbooks: Path | None = None
    """A folder that must hold `<policy>.md`."""
    scripts: Path | None = None
    """A folder that must hold `<policy>.yaml`."""


@dataclass(slots=True)
class Report:
    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    policies: dict[str, PolicyPrice] = field(default_factory=dict)
    """By file."""
    metrics: dict[str, MetricPrice] = field(default_factory=dict)

    def counts(self) -> Mapping[Level, int]:
        counted = Counter(one.level for one in self.findings)
        return {level: counted[level] for level in LEVELS}


def lint(paths: Sequence[Path], options: Options = Options()) -> Report:  # noqa: B008  # a tuple of constants
    """Check files and folders; without any, the project's own data and catalogue.

    Raises:
        DefinitionError: A path is not there, or a catalogue cannot be read.
    """
    try:
        metrics = Metrics(options.catalogues, export_seconds=options.export_seconds)
    except (OSError, ValueError, KeyError) as error:
        raise DefinitionError(f"the catalogue cannot be read: {error}") from error
    report = Report()
    own = not paths
    options = _beside_our_data(options) if own else options
    chosen = list(paths) or [data_root(), Path(__file__).parents[2] / "core" / "metrics" / "catalogue.json"]
    for path in chosen:
        if not path.exists():
            raise DefinitionError(f"{path}: no such file or folder")
        for file in _files(path):
            _file(file, explicit=path.is_file(), options=options, metrics=metrics, report=report)
    if own:
        for metric in metrics.all():
            report.metrics[metric.name] = metric_price(metric)
    report.findings.sort(key=lambda one: (one.file, one.line or 0, one.column or 0, one.rule))
    return report


def _beside_our_data(options: Options) -> Options:
    """In a checkout the project's own policies have their runbooks and scripts at fixed places."""
    root = data_root().parents[1]
    runbooks, scripts = root / "docs" / "runbooks", root / "backend" / "tests" / "policies"
    return options._replace(
        runbooks=options.runbooks or (runbooks if runbooks.is_dir() else None),
        scripts=options.scripts or (scripts if scripts.is_dir() else None),
    )


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    own = [path / name for name in FOLDERS.values() if (path / name).is_dir()]
    for folder in own or [path]:
        yield from (file for file in sorted(folder.rglob("*")) if file.is_file() and _FILE.fullmatch(file.name))


def _file(file: Path, *, explicit: bool, options: Options, metrics: Metrics, report: Report) -> None:
    try:
        raw = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        report.findings.append(Finding(str(file), None, None, "", "error", "unreadable", str(error)))
        report.files += 1
        return
    variables = {**_VALUES, **options.variables}
    text = _rendered(file, raw, variables)
    places = Places(text, is_json=".json" in file.name)
    told = _Teller(file, raw, text, places, report)
    if file.name.endswith(".json") and _is_catalogue(text):
        report.files += 1
        _catalogue(file, told)
        return
    try:
        (definition,) = load(file, variables, more_names=list(variables))
    except DefinitionError as error:
        if explicit or _NEITHER not in str(error):
            report.files += 1
            for problem in error.problems:
                told.problem(problem)
        return
    report.files += 1
    strict = file.name.endswith(".tftpl")
    reading = Reading(metrics, strict_names=strict, alert=definition.kind == "policy")
    for warning in definition.warnings:
        told.problem(warning, level="warning")
    if definition.kind == "policy":
        message = definition.message()
        objects.policy(definition.data, message, reading, told.tell)
        _neighbours(definition, options, told)
        report.policies[str(file)] = policy_price(message, metrics, options.instances)
    elif definition.kind == "dashboard":
        objects.dashboard(definition.data, reading, told.tell)
    elif definition.kind == "uptime_check":
        objects.uptime_check(definition.data, told.tell)
    elif definition.kind == "slo":
        objects.slo(definition.data, reading, told.tell)


def _is_catalogue(text: str) -> bool:
    return '"metrics"' in text and '"kind"' in text and '"displayName"' not in text and '"conditions"' not in text


def _catalogue(file: Path, told: "_Teller") -> None:
    try:
        data = parse(told.text, str(file)).data
    except DefinitionError as error:
        for problem in error.problems:
            told.problem(problem)
        return
    check_catalogue(data, told.tell)


def _rendered(file: Path, raw: str, variables: Mapping[str, Any]) -> str:
    """The text that is parsed; a template that cannot be rendered stands for itself, and `load` says why."""
    if not file.name.endswith(".tftpl"):
        return raw
    inputs = {name: value for name, value in variables.items() if name in _VALUES or name.startswith("metrics_")}
    try:
        values = template_values(**inputs) | dict(variables)
        return render(raw, values, str(file), inside_json=".json" in file.name)
    except (DefinitionError, TypeError, ValueError):
        return raw


def _neighbours(definition: Definition, options: Options, told: "_Teller") -> None:
    """The runbook and the script of a policy."""
    for folder, ending, rule in ((options.runbooks, ".md", "no-runbook"), (options.scripts, ".yaml", "no-script")):
        if folder is None or (folder / f"{definition.key}{ending}").is_file():
            continue
        told.tell("error", rule, "", f"{folder}/{definition.key}{ending} is missing")


class _Teller:
    """Findings of one file, with their places."""

    def __init__(self, file: Path, raw: str, text: str, places: Places, report: Report) -> None:  # one file
        self._file = file
        self._raw = raw
        self.text = text
        self._places = places
        self._report = report
        self._told: set[tuple[str, str]] = set()

    def tell(self, level: Level, rule: str, field: str, message: str, inside: tuple[str, int] | None = None) -> None:
        """`inside`: the text of the field, and the position in it."""
        place = self._places.of(field) if inside is None else self._places.inside(field, *inside)
        self._add(place, level, rule, field, message)

    def problem(self, problem: str, level: Level = "error") -> None:
        """What the reader of definitions says: `file:line: field: reason`."""
        match = _PROBLEM.match(problem)
        rest = match["rest"] if match else problem.removeprefix(f"{self._file}: ")
        line = int(match["line"]) if match else None
        named = _FIELD.match(rest)
        field, message = (named["field"], named["reason"]) if named else ("", rest)
        place = self._places.of(field) if field else None
        position = _POSITION.search(message)
        rule = "not-readable"
        if position is not None:
            rule = "not-promql"
            query = self._places.scalar(field)
            if query is not None:
                place = self._places.inside(field, query, int(position[1]) - 1)
        elif "has no field" in message:
            rule = "unknown-field"
        elif named:
            rule = "refused"
        if line is not None and (place is None or (position is None and place.line != line)):
            place = Place(line, 1)
        self._add(place, level, rule, field, message)

    def _add(self, place: Place | None, level: Level, rule: str, field: str, message: str) -> None:
        if self._raw != self.text:
            place = in_template(place, self._raw, self.text)
        line, column = place if place is not None else (None, None)
        # The same mistake in twenty charts is one to a reader.
        if (rule, message) in self._told:
            return
        self._told.add((rule, message))
        self._report.findings.append(Finding(str(self._file), line, column, field, level, rule, message))


def worst(findings: Iterable[Finding]) -> Level | None:
    """The level of the worst finding."""
    levels = [LEVELS.index(one.level) for one in findings]
    return LEVELS[min(levels)] if levels else None
