"""What the platform writes of each check: the metrics of monitoring.googleapis.com/uptime_check.

cloud.google.com/monitoring/api/metrics_gcp_i_o#gcp-monitoring names them; the label sets and the meaning of the number
in `error_code` (we write the google.rpc code, 0 when the check passed) are not published in full.
"""

from ..clock import NANOS
from .checkers import Checker
from .messages import Raw
from .probe import Outcome

DOMAIN = "monitoring.googleapis.com/uptime_check"


def write_into(request: Raw, check_id: str, checker: Checker, *, resource: Raw, outcome: Outcome, at: int) -> None:
    """Add the points of one check to a CreateTimeSeriesRequest."""
    labels = {"check_id": check_id, "checker_location": checker.id, "checked_resource_id": resource_id(resource)}
    values: list[tuple[str, str, object, str]] = [
        ("check_passed", "bool_value", outcome.passed, "1"),
        ("request_latency", "double_value", outcome.latency_ms, "ms"),
        ("error_code", "int64_value", int(outcome.code or 0), "1"),
    ]
    if outcome.status is not None:
        values.append(("http_status", "int64_value", outcome.status, "1"))
    if outcome.content_mismatch is not None:
        values.append(("content_mismatch", "bool_value", outcome.content_mismatch, "1"))
    if outcome.certificate_days is not None:
        values.append(("time_until_ssl_cert_expires", "double_value", outcome.certificate_days, "d"))
    for name, field, value, unit in values:
        series = request.time_series.add(unit=unit)
        series.metric.type = f"{DOMAIN}/{name}"
        series.metric.labels.update(labels)
        series.resource.CopyFrom(resource)
        point = series.points.add()
        point.interval.end_time.seconds, point.interval.end_time.nanos = divmod(at, NANOS)
        setattr(point.value, field, value)


# What tells a resource of each type from others of its type, and names it in `--uptime-target`.
_NAMING = {
    "uptime_url": "host",
    "gce_instance": "instance_id",
    "gae_app": "module_id",
    "aws_ec2_instance": "instance_id",
    "aws_elb_load_balancer": "name",
    "k8s_service": "service_name",
    "servicedirectory_service": "service_name",
    "cloud_run_revision": "service_name",
}


def resource_id(resource: Raw) -> str:
    label: str = resource.labels.get(_NAMING.get(resource.type, "host"), "")
    return label
