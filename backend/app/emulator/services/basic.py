"""A basic SLI as the request-based one that it stands for (service.proto, ServiceLevelObjective.View.EXPLICIT).

Which metrics a platform counts requests and latencies in: cloud.google.com/monitoring/api/metrics_gcp.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..alerting.limits import seconds
from .messages import Raw, RequestBasedSli
from .rules import identifier_of, labels_of


class _Platform(NamedTuple):
    requests: str
    latencies: str
    resource: str
    """Empty: any."""
    bad: str
    """What tells a request that failed by the service's fault."""
    latency_unit: float
    """Seconds."""
    labels: dict[str, str]
    """Field of the service -> label of the series."""
    location: str = "resource.labels.location"
    version: str = ""
    method: str = ""


_BAD_CLASS = 'metric.labels.response_code_class="5xx"'
_BAD_CODE = "metric.labels.response_code>=500"
_DESTINATION = "metric.labels.destination_service_"
_ISTIO = _Platform(
    "istio.io/service/server/request_count", "istio.io/service/server/response_latencies", "", _BAD_CODE, 0.001,
    {
        "service_name": f"{_DESTINATION}name",
        "service_namespace": f"{_DESTINATION}namespace",
        "mesh_uid": "metric.labels.mesh_uid",
        "location": "resource.labels.location",
        "cluster_name": "resource.labels.cluster_name",
        "canonical_service": "metric.labels.destination_canonical_service_name",
        "canonical_service_namespace": "metric.labels.destination_canonical_service_namespace",
    },
)  # fmt: skip
_PLATFORMS = {
    "cloud_run": _Platform(
        "run.googleapis.com/request_count", "run.googleapis.com/request_latencies", "cloud_run_revision", _BAD_CLASS,
        0.001, {"service_name": "resource.labels.service_name", "location": "resource.labels.location"},
        version="resource.labels.revision_name",
    ),
    "app_engine": _Platform(
        "appengine.googleapis.com/http/server/response_count",
        "appengine.googleapis.com/http/server/response_latencies", "gae_app", _BAD_CODE, 0.001,
        {"module_id": "resource.labels.module_id"}, location="resource.labels.zone",
        version="resource.labels.version_id",
    ),
    "cloud_endpoints": _Platform(
        "serviceruntime.googleapis.com/api/request_count", "serviceruntime.googleapis.com/api/request_latencies",
        "api", _BAD_CLASS, 1.0, {"service": "resource.labels.service"}, version="resource.labels.version",
        method="resource.labels.method",
    ),
}  # fmt: skip


def explicit(sli: Raw, service: Raw) -> Raw:
    """The RequestBasedSli that a BasicSli stands for."""
    platform = _PLATFORMS.get(identifier_of(service), _ISTIO)
    terms = [f'resource.type="{platform.resource}"'] if platform.resource else []
    terms += [
        f"{platform.labels[key]}={_quoted(value)}"
        for key, value in sorted(labels_of(service).items())
        if key in platform.labels
    ]
    for label, chosen in (
        (platform.location, sli.location),
        (platform.version, sli.version),
        (platform.method, sli.method),
    ):
        if label and chosen:
            terms.append(f"{label}={_one_of(chosen)}")
    where = " AND ".join(terms)
    answer = RequestBasedSli()
    if sli.WhichOneof("sli_criteria") == "latency":
        cut = answer.distribution_cut
        cut.distribution_filter = f'metric.type="{platform.latencies}" AND {where}'
        cut.range_.max_ = seconds(sli.latency.threshold) / platform.latency_unit
    else:
        ratio = answer.good_total_ratio
        ratio.total_service_filter = f'metric.type="{platform.requests}" AND {where}'
        ratio.bad_service_filter = f"{ratio.total_service_filter} AND {platform.bad}"
    return answer


def _one_of(values: Sequence[str]) -> str:
    return f"one_of({', '.join(_quoted(value) for value in values)})"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
