"""Import blocks for what a project has already: Terraform then changes it instead of making it twice."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..definitions import Definition
from .api import Deployed, Kind, Project

_RESOURCES: Mapping[Kind, str] = {
    "channel": "google_monitoring_notification_channel.channels",
    "dashboard": "google_monitoring_dashboard.dashboards",
    "policy": "google_monitoring_alert_policy.policies",
    "uptime_check": "google_monitoring_uptime_check_config.uptime_checks",
}
_OF = re.compile(r"(?P<key>[a-z][a-z0-9_-]*) of (?P<owner>.+)")


class Adopted(NamedTuple):
    of: Deployed
    address: str
    """Where it belongs in Terraform; empty for what no file describes."""


def adopt(project: Project, definitions: Sequence[Definition], module: str, owner: str = "") -> list[Adopted]:
    """Find each deployed object's place in the module: by its name, as `cloudops apply` does.

    Args:
        project: Where to look.
        definitions: What the module would make.
        module: Its address, such as `module.monitoring`.
        owner: `<service>-<environment>`: the module's own channels carry it in their names.
    """
    places: Mapping[tuple[str, str], str] = {(one.kind, one.display_name): one.key for one in definitions}
    found: list[Adopted] = []
    for kind in ("uptime_check", "policy", "dashboard", "channel"):
        for one in project.deployed(kind):
            key = places.get((kind, one.display_name)) if kind != "channel" else _channel_key(one, owner)
            found.append(Adopted(one, f'{module}.{_RESOURCES[kind]}["{key}"]' if key else ""))
    return found


def import_blocks(found: Sequence[Adopted]) -> str:
    """HCL: a block for what has a place, a comment for what has none."""
    twice = {one.address for one in found if one.address and sum(other.address == one.address for other in found) > 1}
    blocks: list[str] = []
    for one in found:
        if one.address in twice:
            blocks.append(f"# {one.of.name} has the name of another one: {_quoted(one)}. Delete one of them first.\n")
        elif one.address:
            blocks.append(f'import {{\n  to = {one.address}\n  id = "{one.of.name}"\n}}\n')
        elif one.of.kind == "channel":
            blocks.append(f"# Channel {_quoted(one)} ({one.of.data.get('type', '')}), for `routes`: {one.of.name}\n")
        else:
            kind = one.of.kind.replace("_", " ")
            blocks.append(f"# No file describes the {kind} {_quoted(one)}: {one.of.name}\n")
    return "\n".join(blocks)


def _quoted(one: Adopted) -> str:
    return '"' + " ".join(one.of.display_name.split()) + '"'


def _channel_key(one: Deployed, owner: str) -> str:
    match = _OF.fullmatch(one.display_name)
    return match["key"] if match and match["owner"] == owner else ""
