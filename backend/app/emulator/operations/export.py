"""Deployed objects as plain files that the Terraform module and the emulator read."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..definitions.loading import FOLDERS
from .api import Deployed, Project
from .canonical import as_yaml, canonical, without_ids


class Exported(NamedTuple):
    file: Path
    of: Deployed
    lacks: tuple[str, ...]
    """What the module asks for, and this object does not have."""


def key_of(name: str) -> str:
    """A file's name for an object: `Error rate on items-production` -> `error_rate_on_items_production`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "unnamed"


def export(project: Project, folder: Path, containing: str = "") -> list[Exported]:
    """Write every object whose name contains a text; files that are there are replaced."""
    done: list[Exported] = []
    markers: dict[str, str] = {}
    for kind in FOLDERS:
        used: set[str] = set()
        for one in project.deployed(kind):
            if containing not in one.display_name:
                continue
            key = _free(_objective_key(one) or key_of(one.display_name), used)
            if kind == "uptime_check":
                markers[one.id] = f"@uptime:{key}"
            file = folder / FOLDERS[kind] / f"{key}.{'json' if kind == 'dashboard' else 'yaml'}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_text(one, markers), encoding="utf-8")
            done.append(Exported(file, one, tuple(_lacking(one))))
    return done


def _objective_key(one: Deployed) -> str:
    """The file's name from which an objective's id is made, so that an apply finds it again; nothing for other ids."""
    if one.kind != "slo":
        return ""
    labels = one.data.get("userLabels", {})
    owners = (one.name.split("/")[-3], f"{labels.get('service')}-{labels.get('environment')}")
    keys = (one.id.removeprefix(f"{owner}-") for owner in owners if one.id.startswith(f"{owner}-"))
    return next((key.replace("-", "_") for key in keys if re.fullmatch(r"[a-z0-9-]+", key)), "")


def _free(key: str, used: set[str]) -> str:
    free = next(name for n in range(1, len(used) + 2) if (name := key if n == 1 else f"{key}_{n}") not in used)
    used.add(free)
    return free


def _text(one: Deployed, markers: Mapping[str, str]) -> str:
    data = canonical(one.kind, one.data)
    if one.kind == "dashboard":
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    told = one.data.get("notificationChannels", [])
    about = "".join(f"# Told: {name}\n" for name in told)
    return about + as_yaml(without_ids(data, markers) if one.kind == "policy" else data)


def _lacking(one: Deployed) -> list[str]:
    labels = one.data.get("userLabels", {})
    if one.kind != "policy":
        return []
    lacks = [] if labels.get("priority") in {"p1", "p2", "p3", "p4"} else ["userLabels.priority (p1 to p4)"]
    return lacks + ([] if labels.get("team") else ["userLabels.team"])
