"""Import blocks for what a project has already: Terraform then changes it instead of making it twice."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..definitions import Definition
from .api import Deployed, Kind, Project

_RESOURCES: Mapping[Kind, str] = {
    "uptime_check": "google_monitoring_uptime_check_config.uptime_checks",
    "log_metric": "google_logging_metric.log_metrics",
    "policy": "google_monitoring_alert_policy.policies",
    "slo": "google_monitoring_slo.slos",
    "dashboard": "google_monitoring_dashboard.dashboards",
    "channel": "google_monitoring_notification_channel.channels",
}
_SERVICE = "google_monitoring_custom_service.service[0]"
_OF = re.compile(r"(?P<key>[a-z][a-z0-9_-]*) of (?P<owner>.+)")


class Adopted(NamedTuple):
    of: Deployed
    address: str
    """Where it belongs in Terraform; empty for what no file describes."""
    instead: str = ""
    """Why it has no place although a file describes it."""


def adopt(project: Project, definitions: Sequence[Definition], module: str, owner: str = "") -> list[Adopted]:
    """Find each deployed object's place in the module: by its name, as `cloudops apply` does.

    An objective's id is a part of what the module makes, and cannot be changed: one of another id has no place in it.

    Args:
        project: Where to look.
        definitions: What the module would make.
        module: Its address, such as `module.monitoring`.
        owner: `<service>-<environment>`: the module's own channels and its service carry it in their names.
    """
    places: Mapping[tuple[Kind, str], Definition] = {(one.kind, one.display_name): one for one in definitions}
    found: list[Adopted] = []
    if owner and any(one.kind == "slo" and one.owner and not one.owner.slo_service for one in definitions):
        services = [one for one in project.deployed("service") if one.id == owner]
        found += [Adopted(one, f"{module}.{_SERVICE}") for one in services]
    for kind, resource in _RESOURCES.items():
        for one in project.deployed(kind):
            described = places.get((kind, one.display_name)) if kind != "channel" else None
            key = _channel_key(one, owner) if kind == "channel" else described.key if described else ""
            wanted = _objective(described) if kind == "slo" and described else ""
            if wanted and not one.name.endswith(wanted):
                found.append(Adopted(one, "", f"the module's own would be {wanted}"))
            else:
                found.append(Adopted(one, f'{module}.{resource}["{key}"]' if key else ""))
    return found


def import_blocks(found: Sequence[Adopted]) -> str:
    """HCL: a block for what has a place, a comment for what has none."""
    twice = {one.address for one in found if one.address and sum(other.address == one.address for other in found) > 1}
    blocks: list[str] = []
    for one in found:
        if one.address in twice:
            blocks.append(f"# {one.of.name} has the name of another one: {_quoted(one)}. Delete one of them first.\n")
        elif one.instead:
            blocks.append(f"# {one.of.name} is {_quoted(one)}, but {one.instead}: delete it, or leave out the file.\n")
        elif one.address:
            blocks.append(f'import {{\n  to = {one.address}\n  id = "{_import_id(one.of)}"\n}}\n')
        elif one.of.kind == "channel":
            blocks.append(f"# Channel {_quoted(one)} ({one.of.data.get('type', '')}), for `routes`: {one.of.name}\n")
        else:
            kind = one.of.kind.replace("_", " ")
            blocks.append(f"# No file describes the {kind} {_quoted(one)}: {one.of.name}\n")
    return "\n".join(blocks)


def _import_id(one: Deployed) -> str:
    """What the provider takes: the whole name, but of a log-based metric, which may hold slashes."""
    return f"{one.name.split('/')[1]} {one.display_name}" if one.kind == "log_metric" else one.name


def _quoted(one: Adopted) -> str:
    return '"' + " ".join(one.of.display_name.split()) + '"'


def _objective(one: Definition) -> str:
    """The end of the name that the module gives to it."""
    owner = one.owner
    return f"/services/{owner.service_id}/serviceLevelObjectives/{owner.slo_id(one.key)}" if owner else ""


def _channel_key(one: Deployed, owner: str) -> str:
    match = _OF.fullmatch(one.display_name)
    return match["key"] if match and match["owner"] == owner else ""
