"""OpenTelemetry's names as Prometheus and Managed Prometheus know them.

Rules: opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#otlp-metric-points-to-prometheus and
the normalisation of opentelemetry-collector-contrib, pkg/translator/prometheus.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from .catalogue import Kind

# UCUM (ucum.org) to the words of prometheus.io/docs/practices/naming.
_UNITS: Final = {
    "%": "percent",
    "A": "amperes",
    "By": "bytes",
    "Cel": "celsius",
    "GBy": "gigabytes",
    "GiBy": "gibibytes",
    "Hz": "hertz",
    "J": "joules",
    "KBy": "kilobytes",
    "KiBy": "kibibytes",
    "MBy": "megabytes",
    "MiBy": "mebibytes",
    "TBy": "terabytes",
    "TiBy": "tebibytes",
    "V": "volts",
    "W": "watts",
    "bit": "bits",
    "d": "days",
    "g": "grams",
    "h": "hours",
    "m": "meters",
    "min": "minutes",
    "ms": "milliseconds",
    "ns": "nanoseconds",
    "s": "seconds",
    "us": "microseconds",
    "w": "weeks",
}
_PER: Final = {
    "d": "day",
    "h": "hour",
    "m": "meter",
    "min": "minute",
    "mo": "month",
    "s": "second",
    "w": "week",
    "y": "year",
}
_APART: Final = re.compile(r"[^a-zA-Z0-9:]+")
_NO_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")
# What Managed Prometheus writes itself, and what PromQL gives a meaning.
_TAKEN: Final = frozenset({"cluster", "instance", "job", "le", "location", "namespace", "project_id", "quantile"})
_VALUE_LENGTH: Final = 1024  # google/api/metric.proto and the API's refusals: longer label values are not taken


def metric_name(name: str, unit: str, kind: Kind) -> str:
    """The name of a metric: dots become underscores, the unit and `total` are appended."""
    words = [word for word in _APART.split(name) if word]
    words += [unit_word for unit_word in _unit_words(unit) if unit_word.split("_")[-1] not in words]
    last = "total" if kind == "counter" else "ratio" if kind == "gauge" and unit == "1" else ""
    if last:
        words = [*(word for word in words if word != last), last]
    joined = "_".join(words)
    return f"_{joined}" if joined[:1].isdigit() else joined


def _unit_words(unit: str) -> list[str]:
    main, _, per = unit.partition("/")
    words = []
    if main and main != "1" and "{" not in main:
        words.append(_UNITS.get(main, _plain(main)))
    if per and "{" not in per:
        words.append(f"per_{_PER.get(per, _plain(per))}")
    return [word for word in words if word and word != "per_"]


def _plain(unit: str) -> str:
    return "_".join(part for part in _APART.split(unit) if part)


def labels_of(attributes: Mapping[str, object] | None) -> dict[str, str]:
    """Attributes as labels; those whose names become one are joined by `;`, empty ones say nothing."""
    named: dict[str, list[str]] = {}
    for key in sorted(attributes or {}):
        assert attributes is not None
        value = _value(attributes[key])
        if value:
            named.setdefault(_label(key), []).append(value)
    return {name: ";".join(values)[:_VALUE_LENGTH] for name, values in sorted(named.items())}


def _label(key: str) -> str:
    name = _NO_LABEL.sub("_", key)
    if name in _TAKEN:
        return f"exported_{name}"
    if name[:1].isdigit():
        return f"key_{name}"
    return f"key{name}" if name.startswith("_") else name


def _value(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return json.dumps(list(value), separators=(",", ":"), default=str)
    return json.dumps(value, default=str)
