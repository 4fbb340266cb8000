"""Metrics declared in code."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints, overload

from typing_extensions import ParamSpec

from .catalogue import Across, CatalogueError, Guard, Kind, Metric
from .instruments import Counter, Gauge, Histogram, Instrument, UpDown

if TYPE_CHECKING:
    from .instruments import MetricsClient

L = ParamSpec("L")
#: Of each label its allowed values or its guard; or the labels' names alone, which may then have any values.
Labels = Mapping[str, Iterable[str] | Guard] | Sequence[str]

DEFAULT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Declare:
    """Each method declares a metric and gives its instrument.

    `labels` of a metric are a mapping of names to allowed values or to the name of a guard (`"open"` for anything), or
    a `TypedDict`, by which the type checker knows them too: `Literal[...]` is a closed set, `str` is open, and
    `Annotated[str, "address"]` names a guard.

    All raise CatalogueError where Prometheus or Cloud Monitoring would not take the metric, or another has its name.
    """

    def __init__(self, client: "MetricsClient") -> None:
        self._client = client

    @overload
    def counter(self, name: str, description: str, *, labels: Callable[L, Any], unit: str = "1") -> Counter[L]: ...
    @overload
    def counter(self, name: str, description: str, *, labels: Labels = (), unit: str = "1") -> Counter: ...
    def counter(self, name: str, description: str, *, labels: Any = (), unit: str = "1") -> Any:
        return self._declared(Counter, "counter", (name, description, unit), labels)

    @overload
    def gauge(
        self, name: str, description: str, *, across: Across, labels: Callable[L, Any], unit: str = "1"
    ) -> Gauge[L]: ...
    @overload
    def gauge(self, name: str, description: str, *, across: Across, labels: Labels = (), unit: str = "1") -> Gauge: ...
    def gauge(self, name: str, description: str, *, across: Across, labels: Any = (), unit: str = "1") -> Any:
        return self._declared(Gauge, "gauge", (name, description, unit), labels, across=across)

    @overload
    def up_down(self, name: str, description: str, *, labels: Callable[L, Any], unit: str = "1") -> UpDown[L]: ...
    @overload
    def up_down(self, name: str, description: str, *, labels: Labels = (), unit: str = "1") -> UpDown: ...
    def up_down(self, name: str, description: str, *, labels: Any = (), unit: str = "1") -> Any:
        return self._declared(UpDown, "gauge", (name, description, unit), labels, across="sum")

    @overload
    def histogram(
        self,
        name: str,
        description: str,
        *,
        labels: Callable[L, Any],
        unit: str = "s",
        buckets: Sequence[float] = DEFAULT_SECONDS,
    ) -> Histogram[L]: ...
    @overload
    def histogram(
        self,
        name: str,
        description: str,
        *,
        labels: Labels = (),
        unit: str = "s",
        buckets: Sequence[float] = DEFAULT_SECONDS,
    ) -> Histogram: ...
    def histogram(
        self,
        name: str,
        description: str,
        *,
        labels: Any = (),
        unit: str = "s",
        buckets: Sequence[float] = DEFAULT_SECONDS,
    ) -> Any:
        if unit != "s" and buckets is DEFAULT_SECONDS:
            raise CatalogueError(f"{name}: its bounds are seconds, and its unit is {unit!r}: give buckets in {unit}")
        return self._declared(Histogram, "histogram", (name, description, unit), labels, buckets=buckets)

    def _declared(
        self,
        instrument: type[Instrument],
        kind: Kind,
        described: tuple[str, str, str],
        labels: Any,
        *,
        across: str = "",
        buckets: Sequence[float] = (),
    ) -> Instrument:
        name, description, unit = described
        rules = sorted(_rules(labels).items())
        metric = Metric(
            name=name,
            kind=kind,
            unit=unit,
            description=description,
            labels={label: None if isinstance(rule, str) else frozenset(rule) for label, rule in rules},
            buckets=tuple(float(bound) for bound in buckets),
            guards={label: rule for label, rule in rules if isinstance(rule, str)},
            across=across,
        )
        made = instrument(self._client, self._client.metrics.declare(metric))
        return made if metric.labels else made.bound({})


def _rules(labels: Any) -> dict[str, Iterable[str] | str]:
    if isinstance(labels, Mapping):
        return dict(labels)
    if isinstance(labels, type):
        return {label: _rule(hint) for label, hint in get_type_hints(labels, include_extras=True).items()}
    if isinstance(labels, str):
        raise CatalogueError(f"labels={labels!r}: a list of names, a mapping or a TypedDict")
    return dict.fromkeys(labels, "open")


def _rule(hint: Any) -> Iterable[str] | str:
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    if get_origin(hint) is Annotated:
        return str(get_args(hint)[1])
    return "open"
