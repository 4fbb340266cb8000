"""Pages of docs/reference that are written from the code; a test notices when one is stale."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "backend"))

from app.emulator.coverage.table import page as coverage  # noqa: E402  # after the path is set
from tools.cli_page import page as cli_page  # noqa: E402  # as above
from tools.http_page import page as http_page  # noqa: E402  # as above
from tools.log_fields import page as log_fields_page  # noqa: E402  # as above
from tools.policies_page import page as policies_page  # noqa: E402  # as above
from tools.settings_page import service_settings, settings  # noqa: E402  # as above

_NOTE = "<!-- Written by `make snapshots` from {source}; edit that. -->"


def metrics() -> str:
    folder = ROOT / "backend/app/core/metrics"
    catalogue = json.loads((folder / "catalogue.json").read_text())["metrics"]
    platform = json.loads((folder / "platform_metrics.json").read_text())["metrics"]
    lines = [
        "# Metrics",
        "",
        _NOTE.format(source="catalogue.json and platform_metrics.json in backend/app/core/metrics"),
        "",
        "In Cloud Monitoring each is `prometheus.googleapis.com/<name>/<kind>` on `prometheus_target`, where `job` is",
        "the service, `namespace` the environment and `instance` the process; PromQL knows it by its plain name.",
        "How to count: [metrics](../guides/metrics.md).",
        "",
        f"{len(catalogue)} metrics of the library, then {len(platform)} of Google's own for policies and dashboards.",
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
        by = metric["recorded_by"]
        lines.append(f"- recorded by: {by if by == 'the service' else f'`{by}`'}")
    return "\n".join([*lines, *_platform(platform)]) + "\n"


_PLATFORMS = {"any": "", "cloud_run": "Cloud Run", "gke": "GKE"}


def _platform(metrics: dict[str, Any]) -> list[str]:
    lines = [
        "",
        "## Google's own",
        "",
        "A distribution has `_bucket`, `_count` or `_sum` behind its PromQL name. The sources are Google's lists.",
        "",
        "| type | PromQL name | kind | unit | resource | labels | on | source |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, metric in metrics.items():
        cells = [
            f"`{name}`",
            f"`{metric['promql']}`",
            f"{metric['kind']} {metric['value_type']}",
            f"`{metric['unit']}`",
            f"`{metric['resource_type']}`",
            ", ".join(f"`{label}`" for label in metric["labels"]),
            _PLATFORMS[metric["platform"]],
            f"[list]({metric['source']})",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


_GUARDS = {
    "route": "a route template, or `_unmatched`",
    "status_code": "a status code",
    "declared": "a name from the service's code",
    "address": "a client by `CLIENT_IDENTITY`: the heaviest, the rest is `other`",
    "account": "a hashed account: the heaviest, the rest is `other`",
    "type": "the type of an error: the most frequent, the rest is `other`",
    "open": "anything: the heaviest, the rest is `other`",
}


def _values(rule: dict[str, Any]) -> str:
    if "values" in rule:
        return ", ".join(f"`{value}`" for value in rule["values"])
    return _GUARDS[rule["guard"]]


def _noted(page: Callable[[str], str], source: str) -> Callable[[], str]:
    return lambda: page(_NOTE.format(source=source))


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": _noted(settings, "backend/app/core/settings.py"),
    "service-settings.md": _noted(service_settings, "backend/app/api/settings.py"),
    "metrics.md": metrics,
    "log-fields.md": _noted(log_fields_page, "backend/tools/log_fields.py"),
    "http.md": _noted(http_page, "the routes themselves"),
    "policies.md": _noted(policies_page, "terraform/monitoring and docs/runbooks"),
    "COVERAGE.md": coverage,
    "cli.md": _noted(cli_page, "backend/app/cli/"),
}
