"""What log entries belong to (cloud.google.com/logging/docs/api/v2/resource-list)."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Resource(NamedTuple):
    """A monitored resource; `project_id` is added where the project is known."""

    type: str
    labels: Mapping[str, str]


GLOBAL: Final = Resource("global", {})


def generic_task(location: str, namespace: str, job: str, task_id: str) -> Resource:
    return Resource("generic_task", {"location": location, "namespace": namespace, "job": job, "task_id": task_id})


def gce_instance(zone: str, instance_id: str) -> Resource:
    return Resource("gce_instance", {"zone": zone, "instance_id": instance_id})
