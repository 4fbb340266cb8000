"""Which monitored resource an OTLP resource stands for."""

from collections.abc import Mapping

from google.api.monitored_resource_pb2 import MonitoredResource

Attributes = Mapping[str, str]

PROJECT = "gcp.project_id"
_UNKNOWN = "unknown_service"


def first(attributes: Attributes, *keys: str) -> str:
    """The first value that is not empty."""
    return next((attributes[key] for key in keys if attributes.get(key)), "")


def prometheus_target(attributes: Attributes) -> dict[str, str]:
    """Labels of prometheus_target: docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics.

    An empty location or instance refuses the point.
    """
    platform = attributes.get("cloud.platform", "")
    by_platform = {"gcp_compute_engine": "__gce__", "gcp_cloud_run": "__run__"}.get(platform, "")
    return {
        "location": first(attributes, "location", "cloud.availability_zone", "cloud.region"),
        "cluster": first(attributes, "cluster", "k8s.cluster.name") or by_platform,
        "namespace": first(attributes, "namespace", "k8s.namespace.name", "service.namespace"),
        "job": first(attributes, "job") or _job(attributes),
        "instance": first(attributes, "instance", "service.instance.id", "faas.instance")
        or _pod(attributes)
        or first(attributes, "k8s.pod.name", "host.id"),
    }


def _job(attributes: Attributes) -> str:
    name, namespace = attributes.get("service.name", ""), attributes.get("service.namespace", "")
    if name and namespace:
        return f"{namespace}/{name}"
    if name and not name.startswith(_UNKNOWN):
        return name
    workloads = ("deployment", "statefulset", "daemonset", "job", "cronjob", "replicaset")
    return first(attributes, "faas.name", *(f"k8s.{kind}.name" for kind in workloads), "service.name")


def _pod(attributes: Attributes) -> str:
    pod, container = attributes.get("k8s.pod.name"), attributes.get("k8s.container.name")
    return f"{pod}:{container}" if pod and container else ""


def monitored_resource(attributes: Attributes) -> MonitoredResource:
    """The resource of a log entry, or of a metric outside prometheus.googleapis.com.

    docs.cloud.google.com/stackdriver/docs/reference/telemetry/otlp-attribute-to-logging-resource; the labels as in
    GoogleCloudPlatform/opentelemetry-operations-go, internal/resourcemapping.
    """
    zone = first(attributes, "cloud.availability_zone", "cloud.region")
    region = first(attributes, "cloud.region", "cloud.availability_zone")
    match attributes.get("cloud.platform", ""):
        case "gcp_compute_engine":
            return _resource("gce_instance", zone=zone, instance_id=attributes.get("host.id", ""))
        case "gcp_cloud_run" | "gcp_cloud_run_revision":
            service = first(attributes, "faas.name", "service.name")
            revision = attributes.get("faas.version", "")
            return _resource(
                "cloud_run_revision",
                location=region,
                service_name=service,
                revision_name=revision,
                configuration_name=service,
            )
        case "gcp_cloud_functions":
            return _resource("cloud_function", region=region, function_name=attributes.get("faas.name", ""))
        case "gcp_app_engine":
            return _resource(
                "gae_instance",
                location=zone,
                module_id=attributes.get("faas.name", ""),
                version_id=attributes.get("faas.version", ""),
                instance_id=attributes.get("faas.instance", ""),
            )
        case "aws_ec2":
            return _resource(
                "aws_ec2_instance",
                region=zone,
                instance_id=attributes.get("host.id", ""),
                aws_account=attributes.get("cloud.account.id", ""),
            )
    return _kubernetes(attributes, zone) or _generic(attributes, zone)


def _kubernetes(attributes: Attributes, location: str) -> MonitoredResource | None:
    if not attributes.get("k8s.cluster.name"):
        return None
    labels = {"location": location, "cluster_name": attributes["k8s.cluster.name"]}
    namespace, pod = attributes.get("k8s.namespace.name", ""), attributes.get("k8s.pod.name", "")
    if container := attributes.get("k8s.container.name"):
        return _resource("k8s_container", **labels, namespace_name=namespace, pod_name=pod, container_name=container)
    if pod:
        return _resource("k8s_pod", **labels, namespace_name=namespace, pod_name=pod)
    if node := attributes.get("k8s.node.name"):
        return _resource("k8s_node", **labels, node_name=node)
    return _resource("k8s_cluster", **labels)


def _generic(attributes: Attributes, location: str) -> MonitoredResource:
    place = location or "global"
    namespace = attributes.get("service.namespace", "")
    job = first(attributes, "service.name", "faas.name")
    task = first(attributes, "service.instance.id", "faas.instance")
    if job and task:
        return _resource("generic_task", location=place, namespace=namespace, job=job, task_id=task)
    node = first(attributes, "host.id", "host.name")
    return _resource("generic_node", location=place, namespace=namespace, node_id=node)


def writable(attributes: Attributes) -> MonitoredResource:
    """As `monitored_resource`, for metrics: cloud_run_revision, cloud_function take none from users.

    GoogleCloudPlatform/opentelemetry-operations-java#248: generic_task stands in.
    """
    found = monitored_resource(attributes)
    if found.type not in {"cloud_run_revision", "cloud_function"}:
        return found
    return _resource(
        "generic_task",
        location=found.labels["location"] or found.labels["region"],
        namespace=attributes.get("service.namespace", ""),
        job=first(attributes, "service.name", "faas.name"),
        task_id=first(attributes, "service.instance.id", "faas.instance"),
    )


def _resource(kind: str, **labels: str) -> MonitoredResource:
    return MonitoredResource(type=kind, labels=labels)
