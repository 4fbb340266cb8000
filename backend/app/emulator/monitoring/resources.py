"""The monitored resource types that the emulator knows (resources.json), and which of them take user metrics.

Sources: docs.cloud.google.com/monitoring/api/resources for the labels,
docs.cloud.google.com/monitoring/custom-metrics/creating-metrics#which-resource for the writable ones.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from google.api import label_pb2, monitored_resource_pb2

_TABLE = Path(__file__).with_name("resources.json")
# Places have a continent, a direction, a number and, for zones, a letter: us-central1, europe-west4-b.
_PLACE = re.compile(
    r"global|(?:africa|asia|australia|europe|me|northamerica|southamerica|us)"
    r"-(?:north|south|east|west|central|northeast|northwest|southeast|southwest)\d{1,2}(?:-[a-z])?"
)


class ResourceType(NamedTuple):
    name: str
    display_name: str
    writable: bool
    labels: tuple[str, ...]


@cache
def resource_types() -> dict[str, ResourceType]:
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return {
        name: ResourceType(name, facts["display_name"], facts["writable"], tuple(facts["labels"]))
        for name, facts in table.items()
    }


def is_place(location: str) -> bool:
    return _PLACE.fullmatch(location) is not None


def descriptor_of(resource: ResourceType, project: str) -> monitored_resource_pb2.MonitoredResourceDescriptor:
    """The descriptor that the API lists; `project` is `projects/<id>`."""
    return monitored_resource_pb2.MonitoredResourceDescriptor(
        name=f"{project}/monitoredResourceDescriptors/{resource.name}",
        type=resource.name,
        display_name=resource.display_name,
        labels=[label_pb2.LabelDescriptor(key=label) for label in resource.labels],
    )
