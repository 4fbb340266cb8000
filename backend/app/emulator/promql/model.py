"""What goes into the engine and what comes out of it. Times are int milliseconds since the epoch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .regex import full_matcher

Labels = dict[str, str]
Times = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NAME = "__name__"


class QueryError(ValueError):
    """A query that cannot be answered; the message is for the person who wrote it."""


class Matcher(NamedTuple):
    label: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


class Sampled(NamedTuple):
    """One series; `labels` include `__name__`, `times` ascend strictly."""

    labels: Labels
    times: Times
    values: Floats


class SampleSource(Protocol):
    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> list[Sampled]:
        """The series that satisfy all matchers, with their samples of start <= t <= end."""


@dataclass(slots=True)
class Result:
    """The answer to a query: `samples` for a vector (and, without labels, a scalar), `series` for a matrix."""

    kind: Literal["vector", "scalar", "string", "matrix"]
    samples: list[tuple[Labels, float, int]] = field(default_factory=list)
    series: list[tuple[Labels, Times, Floats]] = field(default_factory=list)
    text: str = ""


def label_filter(matchers: Sequence[Matcher]) -> Callable[[Labels], bool]:
    """A predicate over label sets; a label that is absent has the empty value, as in Prometheus."""
    tests = [(matcher.label, value_filter(matcher)) for matcher in matchers]

    def holds(labels: Labels) -> bool:
        return all(test(labels.get(label, "")) for label, test in tests)

    return holds


def value_filter(matcher: Matcher) -> Callable[[str], bool]:
    value = matcher.value
    if matcher.op == "=":
        return lambda found: found == value
    if matcher.op == "!=":
        return lambda found: found != value
    test = full_matcher(value)
    return test if matcher.op == "=~" else lambda found: not test(found)
