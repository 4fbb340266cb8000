"""Where the data files lie, and the values their templates see."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .defaults import ALL, FILE, defaults, thresholds, tiers

_PACKAGE = Path(__file__).parents[2]
_CATALOGUE = _PACKAGE / "core" / "metrics" / "catalogue.json"
# The emulator shows the runbooks itself, at its usual address unless told otherwise.
_RUNBOOKS = "http://127.0.0.1:8086/runbooks"

# The arguments of `template_values`, and SLO_SERVICE, which `--var` can set beside names of a user's own templates.
INPUTS = (
    "service",
    "environment",
    "project",
    "location",
    "metrics_domain",
    "metrics_namespace",
    "runbook_base_url",
    "host",
    "platform",
    "regions",
    "policies",
    "run_service",
    "kubernetes_namespace",
    "container",
    "backend",
    "database",
    "slo_service",
)
# Names that are made of arguments, and of which.
MADE_OF = dict.fromkeys(("scope", "filter_scope", "resources", "resource_filters"), ("service", "environment"))
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
# No template sees it: objectives are put below it.
SLO_SERVICE = "slo_service"
PLATFORMS = ("cloud_run", "gke")


def data_root() -> Path:
    """The folder of policies, dashboards and uptime checks: in the installed package, else in the checkout."""
    packaged = _PACKAGE / "monitoring_data"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "terraform" / "monitoring"


def check_name(what: str, name: str) -> None:
    """The rule of terraform/monitoring/variables.tf for a service and its environment.

    Raises:
        ValueError: It is another.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{what} is {name!r}; write lower-case letters, digits and hyphens, beginning with a letter")


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
    platform: str = PLATFORMS[0],
    regions: str = "",
    policies: str = ALL,
    run_service: str | None = None,
    kubernetes_namespace: str | None = None,
    container: str | None = None,
    backend: str | None = None,
    database: str | None = None,
    given_thresholds: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What templates see: the given names, and what is made of them.

    Made are `scope` (PromQL matchers), `metrics.<name>` (PromQL names), `metric_types.<name>`, `filter_scope` (for the
    filters of SLOs), `resources.<kind>` (matchers of the service's own metrics and of Google's),
    `resource_filters.<kind>` (the service's log entries, in Cloud Logging's language), `by.total` and `by.bucket`
    (grouping), `by.instance` (a label), `thresholds.<policy>.<name>` and `tiers.<policy>.below|wait`.

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
        platform: `cloud_run` or `gke`.
        regions: Several regions, separated by commas: ratios are then grouped by location.
        policies: Which policies are on, such as `default,queue_age,-ddos_attempt`; tiers depend on it.
        run_service: Name of the Cloud Run service; `service` when not given.
        kubernetes_namespace: Namespace on GKE; `environment` when not given.
        container: Name of the container on GKE; `service` when not given.
        backend: Regular expression of the load balancer's backends on GKE.
        database: `PROJECT:INSTANCE` of the Cloud SQL database.
        given_thresholds: `thresholds.<policy>.<name>` -> value, in place of the defaults.

    Raises:
        ValueError: `metrics_domain` or `platform` is none of those that there are.
        DefinitionError: A threshold that no policy has.
    """
    for what, name in (("service", service), ("environment", environment)):
        if name is not None:
            check_name(what, name)
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
    values["metric_types"] = {
        name: _metric_type(name, str(facts["kind"]), metrics_domain, metrics_namespace)
        for name, facts in catalogue_metrics().items()
    }
    if platform not in PLATFORMS:
        raise ValueError(f"platform is {platform!r}; write {' or '.join(PLATFORMS)}")
    several = len([one for one in regions.split(",") if one.strip()]) > 1
    values["by"] = {
        "total": " by (location) " if several else "",
        "bucket": " by (le, location) " if several else " by (le) ",
        # What tells processes apart: a label of the resource, so it depends on the domain.
        "instance": "instance" if metrics_domain == "prometheus" else "task_id",
    }
    resource = "prometheus_target" if metrics_domain == "prometheus" else "generic_task"
    if service is not None and environment is not None:
        space, name = kubernetes_namespace or environment, container or service
        values["filter_scope"] = (
            f'resource.type="{resource}" resource.labels.job="{service}" resource.labels.namespace="{environment}"'
        )
        values["resources"] = {
            "own": f'monitored_resource="{resource}"',
            "run": f'monitored_resource="cloud_run_revision",service_name="{run_service or service}"',
            "container": f'monitored_resource="k8s_container",namespace_name="{space}",container_name="{name}"',
            "pod": f'monitored_resource="k8s_pod",namespace_name="{space}",pod_name=~"{name}-.*"',
            "load_balancer": 'monitored_resource="https_lb_rule",'
            f'backend_target_name=~"{backend or f".*-{space}-{name}-.*"}"',
            "database": f'monitored_resource="cloudsql_database",database_id="{database or f"{project}:{service}"}"',
        }
        in_space = f'resource.labels.namespace_name="{space}"'
        values["resource_filters"] = {
            "run": f'resource.type="cloud_run_revision" resource.labels.service_name="{run_service or service}"',
            "container": f'resource.type="k8s_container" {in_space} resource.labels.container_name="{name}"',
            "pod": f'resource.type="k8s_pod" {in_space} resource.labels.pod_name=~"^{name}-"',
        }
    found = defaults(data_root() / FILE)
    values["thresholds"] = thresholds(found, given_thresholds or {})
    values["tiers"] = tiers(found, values["thresholds"], policies)
    return values


def _metric_type(name: str, kind: str, domain: str, namespace: str) -> str:
    if domain == "prometheus":
        return f"prometheus.googleapis.com/{name}/{kind}"
    return f"{domain}.googleapis.com/{namespace}/{name}"


def catalogue_metrics(path: Path = _CATALOGUE) -> Mapping[str, Any]:
    """The metrics of the library's catalogue, read as a file: the emulator knows no code of the library."""
    metrics: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    return metrics
