"""What a synthetic service writes, and what can happen to it: two YAML files (docs/guides/simulating.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from ..alerttest.errors import ScriptError
from ..alerttest.notation import seconds_of
from ..alerttest.script import only

SERVICE = Path(__file__).with_name("service.yaml")
CHAOS = Path(__file__).with_name("chaos.yaml")

Model = Literal["counter", "gauge", "histogram"]
_MODELS: tuple[Model, ...] = ("counter", "gauge", "histogram")
_SERIES = {*_MODELS, "metric", "labels", "kind", "type", "resource", "each", "every", "noise"}
_WORLD = {"knobs", "shape", "deploys", "blips", "instances", "series", "logs"}
_CASE = {"name", "says", "begins", "lasts", "after", "hour", "set", "ramp", "expect", "allow", "symptoms", "canary"}


@dataclass(frozen=True, slots=True)
class Series:
    """One metric with one set of labels, of each instance or of the service as a whole."""

    metric: str
    model: Model
    value: str | Mapping[str, Any]
    """The expression; of a histogram: `count`, `median`, `spread`."""
    labels: Mapping[str, str]
    kind: str = ""
    type: str = ""
    resource: Mapping[str, Any] | None = None
    each: Literal["instance", "service"] = "instance"
    every: float = 60.0
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class World:
    path: Path
    knobs: Mapping[str, float]
    shape: Mapping[str, float]
    """Of the knob `traffic`: `night` and `weekend` (shares of the daily peak), `peak_hour`, `noise`."""
    deploys: Sequence[float]
    """Seconds since Monday 00:00."""
    blips: Mapping[str, Any]
    instances: int
    series: Sequence[Series]
    logs: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """Something that happens to the service."""

    name: str
    says: str
    begins: float = 7200.0
    lasts: float = 1800.0
    after: float = 3600.0
    hour: float = 10.0
    """Of Monday, when the case starts; it happens `begins` later."""
    set: Mapping[str, float | str] = field(default_factory=dict)
    """Knobs while it lasts: a number, or `x2` for twice the usual."""
    ramp: bool = False
    """Whether the knobs go there in a straight line."""
    canary: float = 0.0
    """The share of the traffic that a new revision takes, if that is where it happens."""
    expect: Sequence[str] = ()
    """Policies that must open; `a | b` is one of them."""
    allow: Sequence[str] = ()
    symptoms: int = 1

    @property
    def seconds(self) -> float:
        return self.begins + self.lasts + self.after


def read_world(path: Path = SERVICE) -> World:
    """Read what the service writes.

    Raises:
        ScriptError: A field is unknown or cannot be read; the message names the file.
    """
    data = _read(path)
    try:
        only(data, _WORLD, "a service")
        return World(
            path=path,
            knobs={str(key): float(value) for key, value in data["knobs"].items()},
            shape=data.get("shape") or {},
            deploys=[seconds_of(one) for one in data.get("deploys") or ()],
            blips=data.get("blips") or {},
            instances=int(data.get("instances", 2)),
            series=[_series(one) for one in data["series"]],
            logs=data.get("logs") or (),
        )
    except ScriptError as error:
        raise ScriptError(f"{path}: {error}") from error
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ScriptError(f"{path}: {type(error).__name__}: {error}") from error


def read_cases(path: Path = CHAOS) -> list[Case]:
    """Read a catalogue of accidents.

    Raises:
        ScriptError: A field is unknown or cannot be read; the message names the file and the case.
    """
    data = _read(path)
    cases = data.get("cases")
    if not isinstance(cases, list) or not cases:
        raise ScriptError(f"{path}: cases are missing")
    found = []
    for one in cases:
        try:
            found.append(_case(one))
        except (ScriptError, TypeError, ValueError) as error:
            name = one.get("name", "?") if isinstance(one, dict) else "?"
            raise ScriptError(f"{path}: case {name}: {error}") from error
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ScriptError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ScriptError(f"{path}: holds names and values")
    return data


def _series(data: Any) -> Series:
    only(data, _SERIES, "a series")
    models = [one for one in _MODELS if one in data]
    if "metric" not in data or len(models) != 1:
        raise ScriptError(f"a series has a metric and one of {', '.join(_MODELS)}: {data}")
    platform = "/" in data["metric"]
    if platform and "kind" not in data:
        raise ScriptError(f"{data['metric']}: kind is missing (gauge, cumulative or delta)")
    each = data.get("each", "service" if platform else "instance")
    if each not in {"instance", "service"}:
        raise ScriptError(f"{data['metric']}: each is instance or service, not {each}")
    return Series(
        metric=data["metric"],
        model=models[0],
        value=data[models[0]],
        labels={str(key): str(value) for key, value in (data.get("labels") or {}).items()},
        kind=data.get("kind", ""),
        type=data.get("type", ""),
        resource=data.get("resource"),
        each=each,
        every=seconds_of(data.get("every", 60)),
        noise=float(data.get("noise", 0)),
    )


def _case(data: Any) -> Case:
    only(data, _CASE, "a case")
    if not data.get("name") or not data.get("set"):
        raise ScriptError("a case has a name, and knobs to set")
    times = {key: seconds_of(data[key]) for key in ("begins", "lasts", "after") if key in data}
    return Case(
        name=str(data["name"]),
        says=str(data.get("says", "")),
        hour=float(data.get("hour", 10)),
        set=data["set"],
        ramp=bool(data.get("ramp")),
        canary=float(data.get("canary", 0)),
        expect=[str(one) for one in data.get("expect") or ()],
        allow=[str(one) for one in data.get("allow") or ()],
        symptoms=int(data.get("symptoms", 1)),
        **times,
    )
