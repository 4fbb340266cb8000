"""The series of a stretch, as the library and the platform would write them, straight into a metric store."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from google.api import distribution_pb2, metric_pb2, monitored_resource_pb2

from ..alerttest.distributions import Observations
from ..alerttest.errors import ScriptError
from ..alerttest.series import Series as Identity
from ..alerttest.series import series_of
from ..clock import NANOS
from ..monitoring.model import KINDS, VALUE_TYPES, Distributions, Floats, Ints
from ..monitoring.store import MetricStore
from ..promql.model import Mask
from .expression import evaluate
from .stretch import MINUTE, Lane, Stretch
from .world import Series, World

if TYPE_CHECKING:
    from ..alerttest.notation import Sample

_MILLISECOND = 1_000_000
_UP = "up"
"""The knob that says whether the service's own telemetry is written."""


class Signal(NamedTuple):
    """One series: who it is, and its columns, one row a step."""

    identity: Identity
    first: int
    """The step of the first sample."""
    values: Floats
    """The value of a gauge; how much was counted in each step, of histograms how many observations."""
    silent: Mask
    """Where no sample is written."""
    buckets: Ints | None = None
    means: Floats | None = None


def signals(world: World, stretch: Stretch, variables: Mapping[str, Any]) -> Iterator[Signal]:
    """All series of the world.

    Raises:
        ScriptError: An expression or a metric of the world cannot be used.
    """
    for number, series in enumerate(world.series):
        # A generator for each series: what one more series in the file writes changes no other.
        generator = np.random.default_rng((stretch.seed, number))
        try:
            yield from _of(series, world, stretch, variables, generator)
        except ScriptError as error:
            raise ScriptError(f"{world.path}: {series.metric}: {error}") from error


def _of(
    series: Series, world: World, stretch: Stretch, variables: Mapping[str, Any], generator: np.random.Generator
) -> Iterator[Signal]:
    count = world.instances if series.each == "instance" else 1
    lanes = stretch.lanes
    if series.each == "service" and not _names_revision(series):
        lanes = [Lane(0, np.arange(len(stretch.times)), stretch.knobs)]
    for lane in lanes:
        made = {
            "instances": np.full(len(lane.steps), float(world.instances)),
            "age": (lane.steps - lane.steps[0]) * float(MINUTE),
        }
        knobs = {**lane.knobs, **made}
        for place in range(count):
            identity = _identity(series, variables, f"{lane.revision}-{place}", f"test-{lane.revision + 1:05d}")
            signal = _signal(series, identity, int(lane.steps[0]), knobs, count, generator)
            if signal is not None:
                yield signal


def _names_revision(series: Series) -> bool:
    return "{revision}" in str(series.labels) + str(series.resource)


def _identity(series: Series, variables: Mapping[str, Any], instance: str, revision: str) -> Identity:
    named = {"{instance}": instance, "{revision}": revision, "{service}": str(variables["service"])}
    named |= {"{location}": str(variables["location"]), "{host}": str(variables["host"])}
    labels = {key: _filled(value, named) for key, value in series.labels.items()}
    resource = None if series.resource is None else {k: _filled(str(v), named) for k, v in series.resource.items()}
    if "/" not in series.metric:
        labels["instance"] = instance if series.each == "instance" else "0"
    kind = series.kind or ({"counter": "counter", "gauge": "gauge", "histogram": "histogram"}[series.model])
    value_type = series.type or ("distribution" if series.model == "histogram" else "")
    return series_of(
        series.metric,
        [],
        interval=series.every,
        variables=variables,
        kind=kind,
        type=value_type,
        resource=resource,
        labels=labels,
    )


def _filled(text: str, named: Mapping[str, str]) -> str:
    for name, value in named.items():
        text = text.replace(name, value)
    return text


def _signal(  # noqa: PLR0917  # one series, and what it is made from
    series: Series,
    identity: Identity,
    first: int,
    knobs: Mapping[str, Floats],
    instances: int,
    generator: np.random.Generator,
) -> Signal | None:
    silent = np.zeros(len(next(iter(knobs.values()))), np.bool_)
    if identity.is_users and _UP in knobs:
        silent = knobs[_UP] <= 0
    if series.model == "gauge":
        values = np.array(evaluate(str(series.value), knobs))
        if series.noise:
            values *= np.maximum(1 + series.noise * generator.standard_normal(len(values)), 0)
        return Signal(identity, first, values, silent)
    if series.model == "counter":
        rate = np.maximum(evaluate(str(series.value), knobs), 0) / instances
        counts = generator.poisson(np.nan_to_num(rate)).astype(np.float64)
        return _since_first(Signal(identity, first, counts, silent))
    return _histogram(series, identity, first, knobs, instances, generator, silent)


def _histogram(  # noqa: PLR0917  # what `_signal` has
    series: Series,
    identity: Identity,
    first: int,
    knobs: Mapping[str, Floats],
    instances: int,
    generator: np.random.Generator,
    silent: Mask,
) -> Signal | None:
    if not isinstance(series.value, Mapping) or not {"count", "median"} <= series.value.keys():
        raise ScriptError("a histogram has count, median and, if you like, spread")
    rate = np.maximum(evaluate(series.value["count"], knobs), 0) / instances
    median = np.maximum(evaluate(series.value["median"], knobs), 1e-9)
    spread = float(series.value.get("spread", 0.6))
    counts = generator.poisson(rate)
    edges = np.asarray(identity.bounds, np.float64)
    # Log-normal: `spread` is the standard deviation of the logarithm.
    below = _normal((np.log(edges)[None, :] - np.log(median)[:, None]) / spread)
    shares = np.diff(np.concatenate([np.zeros((len(counts), 1)), below, np.ones((len(counts), 1))], axis=1), axis=1)
    buckets = generator.multinomial(counts, np.clip(shares, 0, 1)).astype(np.int64)
    means = median * np.exp(spread**2 / 2)
    return _since_first(Signal(identity, first, counts.astype(np.float64), silent, buckets, means))


def _normal(values: Floats) -> Floats:
    """The cumulative normal distribution, by the logistic approximation of Bowling et al. (2009): good to 0.0002."""
    answer: Floats = 1 / (1 + np.exp(-np.clip(0.07056 * values**3 + 1.5976 * values, -60, 60)))
    return answer


def _since_first(signal: Signal) -> Signal | None:
    """As the library writes it: from the zero just before the first event on; nothing at all without one."""
    if signal.identity.kind == "DELTA":
        return signal
    seen = np.flatnonzero(signal.values > 0)
    if not len(seen):
        return None
    begin = max(int(seen[0]) - 1, 0)
    return signal._replace(
        first=signal.first + begin,
        values=signal.values[begin:],
        silent=signal.silent[begin:],
        buckets=None if signal.buckets is None else signal.buckets[begin:],
        means=None if signal.means is None else signal.means[begin:],
    )


def store_of(found: Iterator[Signal], stretch: Stretch, project_id: str) -> MetricStore:
    """A metric store that holds them."""
    store = MetricStore()
    for signal in found:
        _put(store, signal, stretch, project_id)
    return store


def _put(store: MetricStore, signal: Signal, stretch: Stretch, project_id: str) -> None:
    identity = signal.identity
    if store.descriptor(identity.metric_type) is None:
        store.put_descriptor(
            metric_pb2.MetricDescriptor(
                type=identity.metric_type,
                metric_kind=KINDS.Value(identity.kind),
                value_type=VALUE_TYPES.Value(identity.value_type.upper()),
            )
        )
    metric = metric_pb2.Metric(type=identity.metric_type, labels=dict(identity.labels))
    resource = monitored_resource_pb2.MonitoredResource(
        type=identity.resource_type, labels=dict(identity.resource_labels)
    )
    series = store.find_or_create(metric, resource, project_id)
    step = max(round(identity.interval / MINUTE), 1)
    chosen = np.arange(0, len(signal.values), step)
    ends = stretch.times[signal.first :][chosen]
    starts, values, distributions = ends, signal.values[chosen], None
    if identity.kind != "GAUGE":
        # What has no sample of its own is in the next one.
        totals = np.cumsum(signal.values)[chosen]
        begin = np.full(len(ends), ends[0] - NANOS)
        delta = identity.kind == "DELTA"
        starts = ends - step * MINUTE * NANOS + _MILLISECOND if delta else begin
        values = np.diff(totals, prepend=0.0) if delta else totals
        if signal.buckets is not None and signal.means is not None:
            sums = np.cumsum(signal.values * signal.means)[chosen]
            buckets = np.cumsum(signal.buckets, axis=0)[chosen]
            if delta:
                sums = np.diff(sums, prepend=0.0)
                buckets = np.diff(buckets, axis=0, prepend=np.zeros((1, buckets.shape[1]), np.int64))
            counts = values.astype(np.int64)
            values = np.divide(sums, values, out=np.zeros(len(values)), where=values > 0)
            bounds = np.asarray(identity.bounds, np.float64)
            distributions = Distributions(counts, np.zeros(len(counts)), buckets, bounds)
    kept = np.flatnonzero(~signal.silent[chosen])
    if distributions is not None:
        counts, squares, buckets, bounds = distributions
        distributions = Distributions(counts[kept], squares[kept], buckets[kept], bounds)
    starts, ends, values = starts[kept], ends[kept], values[kept]
    if not len(kept):
        return
    if distributions is None:
        series.extend(starts, ends, values)
        return
    # The first point tells the series its bounds.
    first = distribution_pb2.Distribution(count=int(distributions.counts[0]), mean=float(values[0]))
    first.bucket_options.explicit_buckets.bounds[:] = distributions.bounds.tolist()
    first.bucket_counts[:] = distributions.buckets[0].tolist()
    series.append_distribution(int(starts[0]), int(ends[0]), first)
    if len(ends) > 1:
        rest = slice(1, None)
        series.extend_distributions(
            starts[rest],
            ends[rest],
            values[rest],
            distributions.counts[rest],
            distributions.sums_of_squares[rest],
            distributions.buckets[rest],
        )


def as_written(signal: Signal) -> tuple[Identity, float]:
    """The same series for the test runner's timeline, and the second of its first sample: the proof uses it."""
    identity = signal.identity
    if identity.interval != MINUTE:
        raise ScriptError("only series of one sample a minute")
    samples: list[Sample] = signal.values.tolist()
    if signal.buckets is not None and signal.means is not None:
        rows = zip(signal.values, signal.buckets, signal.means, strict=True)
        samples = [
            Observations(buckets=tuple(map(int, row)), size=int(count), mean=float(mean)) for count, row, mean in rows
        ]
    elif identity.kind == "CUMULATIVE":
        samples = list(accumulate(signal.values.tolist()))
    written = [None if silent else one for one, silent in zip(samples, signal.silent.tolist(), strict=True)]
    return replace(identity, samples=written), float(signal.first * MINUTE)
