"""How the API tells which series of a call were not written."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from google.cloud.monitoring_v3.types import CreateTimeSeriesSummary

from ..status import ApiError, Code
from .write_rules import Refused

# Sentence and summary travel in HTTP/2 trailers, of which gRPC clients take 8 KiB by default.
_MAX_MESSAGE = 2000
_Summary = CreateTimeSeriesSummary.pb()


class Rejection(NamedTuple):
    place: int
    series: Any
    refused: Refused


def partial_failure(rejections: Sequence[Rejection], total: int, *, old: bool = False) -> ApiError:
    """INVALID_ARGUMENT with a CreateTimeSeriesSummary; the other series of the call are written.

    Shape: open-telemetry/opentelemetry-collector-contrib#31507; the form of the parts:
    GoogleCloudPlatform/opentelemetry-operations-python#431. A call with one series gets the bare sentence about its
    field (Stackdriver/stackdriver-prometheus-sidecar#251). `old`: the form of 2020 to 2024
    (micrometer-metrics/micrometer#2160, GoogleCloudPlatform/prometheus-engine#823).
    """
    parts = _parts(rejections, old=old)
    if total == 1 and rejections[0].refused.field is not None:
        message = parts[0]
    else:
        message = "One or more TimeSeries could not be written: " + _shortened(parts)
    summary = _Summary(total_point_count=total, success_point_count=total - len(rejections))
    for code, count in sorted(Counter(rejection.refused.code for rejection in rejections).items()):
        error = summary.errors.add(point_count=count)
        error.status.code = int(code)
    return ApiError(Code.INVALID_ARGUMENT, message, summary)


def _parts(rejections: Sequence[Rejection], *, old: bool) -> list[str]:
    parts: list[str] = []
    groups: dict[tuple[str, str], list[Rejection]] = {}
    for rejection in rejections:
        refused = rejection.refused
        if refused.field is not None:
            shown = "" if refused.value is None else f' of "{refused.value}"'
            parts.append(
                f"Field timeSeries[{rejection.place}]{refused.field} had an invalid value{shown}: {refused.reason}"
            )
        else:
            groups.setdefault((refused.reason, _resource(rejection.series)), []).append(rejection)
    for (reason, resource), group in groups.items():
        metric = group[0].series.metric
        places = _ranges([rejection.place for rejection in group])
        if old:
            shown = ",".join(f"{key}:{value}" for key, value in sorted(metric.labels.items()))
            parts.append(f"{reason}: {resource} timeSeries[{places}]: {metric.type}{{{shown}}}")
            continue
        labels = ", ".join(f'"{key}": "{value}"' for key, value in sorted(metric.labels.items()))
        parts.append(
            f"timeSeries[{places}] "
            f'(example metric.type="{metric.type}", metric.labels={{{labels}}}): '
            f"write for resource={resource} failed with: {reason}"
        )
    return parts


def _resource(series: Any) -> str:
    resource = series.resource
    labels = ",".join(f"{key}:{value}" for key, value in sorted(resource.labels.items()) if key != "project_id")
    return f"{resource.type or 'global'}{{{labels}}}"


def _ranges(indexes: Sequence[int]) -> str:
    """0-2,5 for 0, 1, 2, 5."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def _shortened(parts: Sequence[str]) -> str:
    text = parts[0][:_MAX_MESSAGE]
    for told, part in enumerate(parts[1:], start=1):
        if len(text) + len(part) > _MAX_MESSAGE:
            return f"{text}; and {len(parts) - told} more reasons"
        text += f"; {part}"
    return text
