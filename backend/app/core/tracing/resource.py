"""Who makes the spans: resource attributes and Cloud Trace's own labels, from what the platform says.

Names: opentelemetry.io/docs/specs/semconv/resource/. Google's Telemetry API takes the project from `gcp.project_id`
(cloud.google.com/stackdriver/docs/reference/telemetry/overview).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from ..logging.entry import Identity

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_ZONE_PARTS: Final = 3


def resource(identity: Identity, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Attributes of this process; `OTEL_RESOURCE_ATTRIBUTES` adds to them and goes before them."""
    runtime = identity.runtime
    instance = "-".join(part for part in (runtime.instance, identity.worker) if part)
    found = {
        "service.name": identity.service,
        "service.version": identity.version,
        "service.namespace": identity.environment,
        "service.instance.id": instance,
        "deployment.environment.name": identity.environment,
        "gcp.project_id": runtime.project,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "vcs.ref.head.revision": identity.commit,
    }
    if runtime.platform != "other":
        found |= {"cloud.provider": "gcp", "cloud.account.id": runtime.project} | _place(runtime.location)
    if runtime.platform == "cloud_run":
        found |= {
            "cloud.platform": "gcp_cloud_run",
            "faas.name": environ.get("K_SERVICE") or environ.get("CLOUD_RUN_JOB", ""),
            "faas.version": runtime.revision,
            "faas.instance": runtime.instance,
        }
    elif runtime.platform == "gke":
        found |= {
            "cloud.platform": "gcp_kubernetes_engine",
            "k8s.cluster.name": runtime.cluster,
            "k8s.namespace.name": environ.get("NAMESPACE") or _namespace(),
            "k8s.pod.name": runtime.instance,
            "k8s.container.name": environ.get("CONTAINER_NAME", ""),
        }
    found |= _given(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    return {key: value for key, value in found.items() if value}


def labels(identity: Identity, version: str) -> dict[str, str]:
    """What Cloud Trace shows of a span's origin: `g.co/agent`, and `g.co/r/<resource>/<label>`.

    Source: GoogleCloudPlatform/opentelemetry-operations-python, opentelemetry-exporter-gcp-trace.
    """
    runtime = identity.runtime
    found = {"g.co/agent": f"fastapi-cloudops {version}"}
    if runtime.platform == "cloud_run":
        kind, of = (
            "cloud_run_revision",
            {
                "service_name": os.environ.get("K_SERVICE", ""),
                "revision_name": runtime.revision,
                "configuration_name": os.environ.get("K_CONFIGURATION", ""),
                "location": runtime.location,
                "project_id": runtime.project,
            },
        )
    elif runtime.platform == "gke":
        kind, of = (
            "k8s_container",
            {
                "cluster_name": runtime.cluster,
                "location": runtime.location,
                "namespace_name": os.environ.get("NAMESPACE") or _namespace(),
                "pod_name": runtime.instance,
                "container_name": os.environ.get("CONTAINER_NAME", ""),
                "project_id": runtime.project,
            },
        )
    else:
        return found
    return found | {f"g.co/r/{kind}/{name}": value for name, value in of.items() if value}


def _place(location: str) -> dict[str, str]:
    # A zone has one part more than its region: europe-west1-b.
    if len(location.split("-")) == _ZONE_PARTS:
        return {"cloud.availability_zone": location, "cloud.region": location.rpartition("-")[0]}
    return {"cloud.region": location}


def _namespace() -> str:
    try:
        return _NAMESPACE_FILE.read_text().strip()
    except OSError:
        return ""


def _given(text: str) -> dict[str, str]:
    """opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable."""
    pairs = (part.partition("=") for part in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs if key.strip()}
