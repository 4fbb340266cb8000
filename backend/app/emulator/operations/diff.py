"""What is deployed against what files say."""

import difflib
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from google.protobuf import json_format

from ..definitions import Definition
from ..definitions.places import normal
from .api import Deployed, Kind, Project
from .canonical import as_yaml, canonical, without_ids


class Difference(NamedTuple):
    kind: Kind
    display_name: str
    what: Literal["changed", "missing", "twice", "unknown"]
    """Changed against its file; not deployed; deployed several times; deployed without a file."""
    text: str = ""
    """A unified diff from what is deployed to the file."""


def diff(project: Project, definitions: Sequence[Definition], owner: str = "") -> list[Difference]:
    """Compare each file with the object of its name; channels aside, which files do not name.

    Args:
        project: Where to look.
        definitions: The files.
        owner: `<service>-<environment>`: objects with it in their name that no file describes are told too.
    """
    found: list[Difference] = []
    deployed: dict[Kind, list[Deployed]] = {kind: project.deployed(kind) for kind in {one.kind for one in definitions}}
    markers = {
        there.id: f"@uptime:{one.key}"
        for one in definitions
        if one.kind == "uptime_check"
        for there in deployed.get("uptime_check", [])
        if there.display_name == one.display_name
    }
    for one in definitions:
        same_name = [there for there in deployed[one.kind] if there.display_name == one.display_name]
        if len(same_name) != 1:
            found.append(Difference(one.kind, one.display_name, "twice" if same_name else "missing"))
            continue
        was = _shown(one.kind, without_ids(same_name[0].data, markers), project.id)
        will = _shown(one.kind, one.data, project.id)
        if was != will:
            lines = difflib.unified_diff(was, will, same_name[0].name, str(one.file), lineterm="")
            found.append(Difference(one.kind, one.display_name, "changed", "\n".join(lines)))
    known = {(one.kind, one.display_name) for one in definitions}
    found += [
        Difference(there.kind, there.display_name, "unknown")
        for objects in deployed.values()
        for there in objects
        if owner and _names(owner, there) and (there.kind, there.display_name) not in known
    ]
    return found


def _names(owner: str, one: Deployed) -> bool:
    """Whether a name ends with `<service>-<environment>`, and not with one that merely contains it."""
    return owner in one.display_name.split()


def _shown(kind: Kind, data: dict[str, Any], project: str) -> list[str]:
    if kind in {"log_metric", "slo", "uptime_check"}:
        data = json_format.MessageToDict(normal(kind, data, project))
    plain = canonical(kind, data)
    if kind == "dashboard":
        return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False).splitlines()
    return as_yaml(_sorted(plain)).splitlines()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
