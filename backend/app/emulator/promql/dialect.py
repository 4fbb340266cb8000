"""Where Cloud Monitoring's PromQL differs from Prometheus, one named switch for each published difference.

The source of all of them is docs.cloud.google.com/stackdriver/docs/managed-prometheus/promql-differences, which names
Prometheus 2.44 as the version it agrees with otherwise.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    # "Staleness is not supported in the Monarch backend": a dead series keeps its last value until the lookback ends.
    staleness_markers: bool
    # "Cloud Monitoring supports only exact matching on metric names": no regex, no negation, no absent name.
    exact_metric_names: bool
    # Windows of rate, irate and increase that are shorter than the query's step are raised to the step.
    rate_window_at_least_step: bool
    # histogram_quantile over no observations gives nothing, where Prometheus gives NaN.
    empty_histogram_is_nothing: bool
    # "UTF-8 is supported for metric and label names", which Prometheus has only since version 3.
    utf8_names: bool
    # Windows hold both their ends up to Prometheus 2; Prometheus 3 dropped the left one (its migration guide says so).
    left_closed_windows: bool = True
    # How far back an instant selector looks for its last sample (prometheus.io/docs, --query.lookback-delta).
    lookback: int = 300_000


CLOUD: Final = Dialect(
    name="cloud",
    staleness_markers=False,
    exact_metric_names=True,
    rate_window_at_least_step=True,
    empty_histogram_is_nothing=True,
    utf8_names=True,
)
PROMETHEUS: Final = Dialect(
    name="prometheus",
    staleness_markers=True,
    exact_metric_names=False,
    rate_window_at_least_step=False,
    empty_histogram_is_nothing=False,
    utf8_names=False,
)
DIALECTS: Final = {dialect.name: dialect for dialect in (CLOUD, PROMETHEUS)}
