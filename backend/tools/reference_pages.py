"""Pages of docs/reference that are written from the code; a test notices when one is stale."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "backend"))

from app.core import Settings  # noqa: E402  # after the path is set

_NOTE = "<!-- Written by `make snapshots` from {source}; edit that. -->"


def settings() -> str:
    lines = [
        "# Settings",
        "",
        _NOTE.format(source="backend/app/core/settings.py"),
        "",
        "Environment variables. A value that cannot be used stops the start: its name, the value and what is",
        "allowed are told.",
        "",
        "| variable | default | meaning |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = f"`{_plain(field.default)}`" if field.default not in ("", None) else ""
        lines.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def metrics() -> str:
    catalogue = json.loads((ROOT / "backend/app/core/metrics/catalogue.json").read_text())["metrics"]
    lines = [
        "# Metrics",
        "",
        _NOTE.format(source="backend/app/core/metrics/catalogue.json"),
        "",
        "In Cloud Monitoring each is `prometheus.googleapis.com/<name>/<kind>` on `prometheus_target`, where `job` is",
        "the service, `namespace` the environment and `instance` the process; PromQL knows it by its plain name.",
    ]
    for name, metric in catalogue.items():
        lines += [
            "",
            f"## {name}",
            "",
            metric["description"],
            "",
            f"- kind: {metric['kind']}, unit: `{metric['unit']}`",
        ]
        if "across" in metric:
            lines.append(f"- over several workers: {metric['across']}")
        if "buckets" in metric:
            lines.append(f"- bounds: {', '.join(f'{bound:g}' for bound in metric['buckets'])}")
        lines += [f"- `{label}`: {_values(rule)}" for label, rule in metric["labels"].items()]
    return "\n".join(lines) + "\n"


_GUARDS = {
    "route": "a route template, or `_unmatched`",
    "status_code": "a status code",
    "declared": "a name declared in the service's code",
}


def _values(rule: dict[str, Any]) -> str:
    if "values" in rule:
        return ", ".join(f"`{value}`" for value in rule["values"])
    return _GUARDS[rule["guard"]]


PAGES: dict[str, Callable[[], str]] = {"settings.md": settings, "metrics.md": metrics}
