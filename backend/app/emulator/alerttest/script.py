"""Test scripts, in YAML. The guide docs/guides/testing-alerts.md explains every field.

policies: [high_error_rate.yaml]      # files and folders, beside this file; the project's own unless given
variables: {service: items}           # values for templates, and the labels that series get
policy: high_error_rate               # whose expectations these are, unless one says otherwise
interval: 60s                         # between two samples
tests:
  - name: a burst opens an incident
    series:
      - {metric: 'http_request_total{status_code="500"}', values: "0x5 10x10"}
    logs:
      - {at: 3m, severity: ERROR, textPayload: "boom"}
    snoozes:
      - {at: 30m, duration: 1h}
    expect:
      - {at: 0s, until: 5m, state: none}
      - {at: 10m, state: open, labels: {job: items}, notified: opened}
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .errors import ScriptError
from .notation import seconds_of
from .policies import DEFAULT_VARIABLES
from .series import Series, series_of

_STATES = ("none", "pending", "open", "closed")
_EVENTS = ("opened", "closed", "reminder")
_SCRIPT = {"policies", "variables", "policy", "interval", "evaluate_every", "tests"}
_CASE = {"name", "policy", "interval", "series", "logs", "snoozes", "expect"}
_SERIES = {
    "metric", "values", "kind", "type", "resource", "labels", "metadata", "bounds", "interval", "start", "resets",
}  # fmt: skip
_EXPECT = {"policy", "at", "until", "state", "labels", "open", "closed", "notified", "subject", "text"}
_LOG = ("at", "every", "times")
_SNOOZE = {"policy", "policies", "at", "duration", "filter"}
ALL = "*"


@dataclass(frozen=True, slots=True)
class Expectation:
    policy: str
    """A name, or `*` for every policy."""
    at: float
    until: float
    state: str = ""
    labels: Mapping[str, str] | None = None
    open: int | None = None
    closed: int | None = None
    notified: Mapping[str, int] | str | bool | None = None
    subject: str | None = None
    texts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Log:
    at: float
    every: float
    times: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Snoozed:
    policies: Sequence[str]
    at: float
    duration: float
    filter: str


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    series: Sequence[Series]
    logs: Sequence[Log]
    snoozes: Sequence[Snoozed]
    expect: Sequence[Expectation]

    @property
    def policies(self) -> set[str]:
        """The names in its expectations and snoozes."""
        return {one.policy for one in self.expect} | {name for one in self.snoozes for name in one.policies}


@dataclass(frozen=True, slots=True)
class Script:
    path: Path
    policies: Sequence[Path]
    variables: Mapping[str, Any]
    interval: float
    evaluate_every: float | None
    cases: Sequence[Case] = field(default_factory=list)


def is_script(path: Path) -> bool:
    """Whether a YAML file holds tests, as against a policy."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:
        return re.search(r"^tests:", text, re.MULTILINE) is not None  # reading it as a script tells what is wrong
    return isinstance(data, dict) and "tests" in data


def read_script(path: Path, variables: Mapping[str, Any] | None = None) -> Script:
    """Read a script; `variables` go before its own.

    Raises:
        ScriptError: A field is missing, unknown or cannot be read; the message names the file and the test.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path} cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise ScriptError(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ScriptError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ScriptError(f"{path}: holds no tests")
    try:
        return _script(path, data, variables or {})
    except ScriptError as error:
        raise ScriptError(f"{path}: {error}") from error


def _script(path: Path, data: Mapping[str, Any], variables: Mapping[str, Any]) -> Script:
    only(data, _SCRIPT, "the file")
    own = data.get("variables") or {}
    if not isinstance(own, dict):
        raise ScriptError("variables: names and values")
    given = {**own, **variables}
    every = data.get("evaluate_every")
    interval = seconds_of(data.get("interval", "60s"))
    cases = [_case(one, data, {**DEFAULT_VARIABLES, **given}, interval) for one in _list(data, "tests")]
    if not cases:
        raise ScriptError("tests: there are none")
    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            raise ScriptError(f'two tests are called "{case.name}"')
        seen.add(case.name)
    return Script(
        path=path,
        policies=[path.parent / str(one) for one in _list(data, "policies", missing=())],
        variables=given,
        interval=interval,
        evaluate_every=None if every is None else seconds_of(every),
        cases=cases,
    )


def _case(data: Any, script: Mapping[str, Any], variables: Mapping[str, Any], interval: float) -> Case:
    name = data.get("name") if isinstance(data, dict) else None
    if not name:
        raise ScriptError("a test without a name")
    try:
        only(data, _CASE, "a test")
        policy = data.get("policy", script.get("policy"))
        interval = seconds_of(data["interval"]) if "interval" in data else interval
        case = Case(
            name=str(name),
            series=[_series(one, variables, interval) for one in _list(data, "series", missing=())],
            logs=[_log(one) for one in _list(data, "logs", missing=())],
            snoozes=[_snooze(one, policy) for one in _list(data, "snoozes", missing=())],
            expect=sorted((_expectation(one, policy) for one in _list(data, "expect")), key=lambda one: one.at),
        )
    except ScriptError as error:
        raise ScriptError(f'test "{name}": {error}') from error
    if not case.expect:
        raise ScriptError(f'test "{name}": expect: there is nothing')
    return case


def _series(data: Any, variables: Mapping[str, Any], interval: float) -> Series:
    only(data, _SERIES, "a series")
    for name in ("metric", "values"):
        if name not in data:
            raise ScriptError(f"a series: {name} is missing")
    more = {key: data[key] for key in data.keys() & (_SERIES - {"metric", "values", "interval", "start"})}
    return series_of(
        str(data["metric"]),
        str(data["values"]),
        interval=seconds_of(data["interval"]) if "interval" in data else interval,
        start=seconds_of(data.get("start", 0)),
        variables=variables,
        **more,
    )


def _log(data: Any) -> Log:
    if not isinstance(data, dict) or "at" not in data:
        raise ScriptError("a log entry: at is missing")
    times = data.get("times", 1)
    if not isinstance(times, int) or times < 1:
        raise ScriptError("a log entry: times is a whole number of at least 1")
    fields = {key: value for key, value in data.items() if key not in _LOG}
    return Log(seconds_of(data["at"]), seconds_of(data.get("every", "60s")), times, fields)


def _snooze(data: Any, policy: str | None) -> Snoozed:
    only(data, _SNOOZE, "a snooze")
    names = data.get("policies") or [data.get("policy", policy)]
    if not names[0]:
        raise ScriptError("a snooze: policy is missing")
    if "duration" not in data:
        raise ScriptError("a snooze: duration is missing")
    return Snoozed(
        [str(name) for name in names],
        seconds_of(data.get("at", 0)),
        seconds_of(data["duration"]),
        str(data.get("filter", "")),
    )


def _expectation(data: Any, policy: str | None) -> Expectation:
    only(data, _EXPECT, "an expectation")
    if "at" not in data:
        raise ScriptError("an expectation: at is missing")
    told = data.keys() & {"state", "open", "closed", "notified", "subject", "text"}
    if not told:
        raise ScriptError("an expectation says a state, how many are open or closed, or what people were told")
    name = data.get("policy", policy)
    if not name:
        raise ScriptError("an expectation: policy is missing (here, in the test or in the file)")
    state = _word(data.get("state", ""), "state", ("", *_STATES))
    at = seconds_of(data["at"])
    until = seconds_of(data["until"]) if "until" in data else at
    if until < at:
        raise ScriptError("an expectation: until is before at")
    labels = data.get("labels")
    if labels is not None and not isinstance(labels, dict):
        raise ScriptError("an expectation: labels are names and values")
    text = data.get("text", [])
    return Expectation(
        policy=str(name),
        at=at,
        until=until,
        state=state,
        labels=None if labels is None else {str(key): str(value) for key, value in labels.items()},
        open=_count(data, "open"),
        closed=_count(data, "closed"),
        notified=_notified(data.get("notified")),
        subject=None if data.get("subject") is None else str(data["subject"]),
        texts=[str(one) for one in (text if isinstance(text, list) else [text])],
    )


def _notified(data: Any) -> Mapping[str, int] | str | bool | None:
    if data is None or isinstance(data, bool):
        return data
    if isinstance(data, dict):
        for event, count in data.items():
            _word(event, "notified", _EVENTS)
            if not isinstance(count, int) or isinstance(count, bool):
                raise ScriptError(f"notified: {event} is a number")
        return data
    return _word(data, "notified", _EVENTS)


def _word(value: Any, name: str, known: Iterable[str]) -> str:
    if value not in known:
        raise ScriptError(f"{name} is one of {', '.join(filter(None, known))}, not {value}")
    return str(value)


def _count(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ScriptError(f"{name} is how many incidents, not {value}")
    return value


def _list(data: Mapping[str, Any], name: str, missing: Sequence[Any] | None = None) -> Sequence[Any]:
    if name not in data:
        if missing is None:
            raise ScriptError(f"{name} is missing")
        return missing
    value = data[name]
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ScriptError(f"{name} is a list")
    return value


def only(data: Any, known: Iterable[str], what: str) -> None:
    """Refuse what is no mapping, or has a field that is not known.

    Raises:
        ScriptError: As it says.
    """
    if not isinstance(data, dict):
        raise ScriptError(f"{what} is names and values, not {data}")
    unknown = sorted(str(key) for key in data.keys() - set(known))
    if unknown:
        raise ScriptError(f"{unknown[0]} is no field of {what}; there are {', '.join(sorted(known))}")
