"""Where the data files lie, and the values their templates see."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parents[2]
_CATALOGUE = _PACKAGE / "core" / "metrics" / "catalogue.json"
# The emulator shows the runbooks itself, at its usual address unless told otherwise.
_RUNBOOKS = "http://127.0.0.1:8086/runbooks"

# The arguments of `template_values`, which `--var` can set beside names of a user's own templates.
INPUTS = (
    "service",
    "environment",
    "project",
    "location",
    "metrics_domain",
    "metrics_namespace",
    "runbook_base_url",
    "host",
)


def data_root() -> Path:
    """The folder of policies, dashboards and uptime checks: in the installed package, else in the checkout."""
    packaged = _PACKAGE / "monitoring_data"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "terraform" / "monitoring"


def template_values(
    *,
    service: str | None = None,
    environment: str | None = None,
    project: str | None = None,
    location: str | None = None,
    metrics_domain: str = "prometheus",
    metrics_namespace: str = "cloudops",
    runbook_base_url: str = _RUNBOOKS,
    host: str | None = None,
) -> dict[str, Any]:
    """What templates see: the given names, `scope` (PromQL matchers) and `metrics.<name>` (PromQL names).

    A name that was not given is left out, so that only a template that needs it fails. The names are those that
    terraform/monitoring/definitions.tf passes to `templatefile`.

    Args:
        service: Value of the label `job`.
        environment: Value of the label `namespace`.
        project: Id of the project.
        location: Region or zone of the service.
        metrics_domain: `prometheus`, `workload` or `custom`: where the library writes its metrics (METRICS_DOMAIN).
        metrics_namespace: The path element before the metric name in the last two (METRICS_NAMESPACE).
        runbook_base_url: Address below which the runbooks stand; where the emulator shows them when not given.
        host: Host name that uptime checks call.

    Raises:
        ValueError: `metrics_domain` is none of the three.
    """
    if metrics_domain not in {"prometheus", "workload", "custom"}:
        raise ValueError(f"metrics_domain is {metrics_domain!r}; write prometheus, workload or custom")
    given = {
        "service": service,
        "environment": environment,
        "project": project,
        "location": location,
        "runbook_base_url": runbook_base_url,
        "host": host,
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if service is not None and environment is not None:
        matchers = [f'job="{service}"', f'namespace="{environment}"']
        # A user's own metric may exist on several resource types; PromQL then wants to be told which.
        values["scope"] = ",".join(
            matchers + ([] if metrics_domain == "prometheus" else ['monitored_resource="generic_task"'])
        )
    # cloud.google.com/monitoring/promql/promql-mapping: the first slash becomes a colon, other special characters `_`.
    prefix = "" if metrics_domain == "prometheus" else f"{metrics_domain}_googleapis_com:{metrics_namespace}_"
    values["metrics"] = {name: prefix + name for name in catalogue_metrics()}
    return values


def catalogue_metrics(path: Path = _CATALOGUE) -> Mapping[str, Any]:
    """The metrics of the library's catalogue, read as a file: the emulator knows no code of the library."""
    metrics: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    return metrics
