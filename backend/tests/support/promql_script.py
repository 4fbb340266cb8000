"""Queries and their answers as text: series in promtool's notation, what to ask, what must come back.

    load 1m
      requests_total{code="500"}  0+10x20 _ stale

    eval 10m  rate(requests_total[5m])
      {code="500"} 0.16666666666666666

    eval 10m  requests_total + on (code) other
      fails many-to-many

`eval ordered` also checks the order; `eval prometheus` is asked in the dialect "prometheus" only; `eval differs` is not
compared with promtool, for the reason in the comment above it.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from app.emulator.promql.model import NAME, Labels, Matcher, Sampled, label_filter

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_LABEL = re.compile(r'([\w.]+)="((?:[^"\\]|\\.)*)"')
_VALUE = re.compile(r"(?P<first>[+-]?(?:[\d.]+(?:[eE][+-]?\d+)?|Inf|NaN))(?:(?P<step>[+-][\d.]+)?x(?P<times>\d+))?$")
_STALE = np.array([0x7FF0000000000002], dtype=np.uint64).view(np.float64)[0]


def millis(text: str) -> int:
    """`1h30m` in milliseconds; `0` needs no unit."""
    parts = re.findall(r"(\d+)(ms|[smhdw])", text)
    if text != "0" and "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def labels_of(text: str) -> Labels:
    name, _, rest = text.partition("{")
    labels = {key: value.replace('\\"', '"').replace("\\\\", "\\") for key, value in _LABEL.findall(rest)}
    return ({NAME: name} if name else {}) | labels


def series(text: str, values: str, interval: int, start: int = 0) -> Sampled:
    """One series in promtool's notation, a sample every `interval` ms from `start` on."""
    times: list[int] = []
    found: list[float] = []
    at = start
    for value in _expanded(values):
        if value is not None:
            times.append(at)
            found.append(value)
        at += interval
    return Sampled(labels_of(text), np.array(times, dtype=np.int64), np.array(found, dtype=np.float64))


def _expanded(values: str) -> Iterator[float | None]:
    for word in values.split():
        if word.startswith("_"):
            yield from [None] * int(word.removeprefix("_x") if word != "_" else 1)
        elif word == "stale":
            yield _STALE
        else:
            match = _VALUE.match(word)
            if match is None:
                raise ValueError(f"{word!r} is not promtool's notation")
            for index in range(int(match["times"] or 0) + 1):
                yield float(match["first"]) + index * float(match["step"] or 0)


@dataclass(slots=True)
class MemorySource:
    held: list[Sampled] = field(default_factory=list)

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> list[Sampled]:
        holds = label_filter(matchers)
        found = []
        for each in self.held:
            if holds(each.labels):
                first, last = np.searchsorted(each.times, [start, end + 1])
                found.append(Sampled(each.labels, each.times[first:last], each.values[first:last]))
        return found


@dataclass(slots=True)
class Load:
    interval: str
    lines: list[tuple[str, str]]

    def source(self) -> MemorySource:
        return MemorySource([series(name, values, millis(self.interval)) for name, values in self.lines])


@dataclass(slots=True)
class Case:
    place: str
    load: Load
    at: str
    query: str
    ordered: bool
    dialects: tuple[str, ...]
    oracle: bool  # whether promtool is asked too
    expected: list[tuple[Labels, float]] = field(default_factory=list)
    fails: str | None = None  # what the message must hold


def read(path: Path) -> list[Case]:
    """The cases of a script.

    Raises:
        ValueError: A line that is none of the notation.
    """
    cases: list[Case] = []
    load = Load("1m", [])
    loading = False
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "load":
            load, loading = Load(words[1], []), True
        elif words[0] == "eval":
            case, loading = _case(f"{path.stem}:{number}", load, line), False
            cases.append(case)
        elif loading:
            name, values = re.split(r"\s+(?=[^{}]*$)", line.strip(), maxsplit=1)
            load.lines.append((name, values))
        elif words[0] == "fails":
            cases[-1].fails = line.strip().removeprefix("fails").strip()
        elif cases:
            name, _, value = line.strip().rpartition(" ")
            cases[-1].expected.append((labels_of(name.strip()), float(value)))
        else:
            raise ValueError(f"{path.name}:{number}: what is {line!r}?")
    return cases


def _case(place: str, load: Load, line: str) -> Case:
    words = line.split(maxsplit=1)[1].strip()
    dialects: tuple[str, ...] = ("cloud", "prometheus")
    marks = set()
    while words.startswith(("ordered ", "differs ", *dialects)):
        mark, words = words.split(maxsplit=1)
        marks.add(mark)
    dialects = tuple(marks.intersection(dialects)) or dialects
    at, query = words.split(maxsplit=1)
    oracle = "prometheus" in dialects and "differs" not in marks
    return Case(place, load, at, query, "ordered" in marks, dialects, oracle)


def close(left: float, right: float) -> bool:
    """Equal, up to what another order of additions may change."""
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)
