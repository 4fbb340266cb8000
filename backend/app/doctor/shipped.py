"""What this project brings along for a service, by its names for people; read without a YAML reader."""

import re
from pathlib import Path
from typing import NamedTuple

from .model import Subject

_PACKAGE = Path(__file__).parents[1]
_NAME = re.compile(r'^ {0,2}"?displayName"?: "(.*?)",?$', re.MULTILINE)


class Shipped(NamedTuple):
    """Names for people of what belongs to a service."""

    policies: dict[str, str]
    """Those that are on by default, by the names of their files."""
    dashboards: dict[str, str]
    uptime_checks: dict[str, str]


def data_root() -> Path:
    """The folder of policies, dashboards and uptime checks: in the installed package, else in the checkout."""
    packaged = _PACKAGE / "monitoring_data"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "terraform" / "monitoring"


def shipped(subject: Subject) -> Shipped:
    root = data_root()
    on = _by_default((root / "defaults.yaml").read_text(encoding="utf-8"))
    policies = _named(subject, sorted(root.glob("policies/**/*.tftpl")))
    return Shipped(
        {name: title for name, title in policies.items() if name in on},
        _named(subject, sorted(root.glob("dashboards/*.tftpl"))),
        _named(subject, sorted(root.glob("uptime_checks/*.tftpl"))),
    )


def _by_default(text: str) -> set[str]:
    block = re.search(r"^policies:\n((?:  - \w+\n)+)", text, re.MULTILINE)
    assert block is not None
    return set(re.findall(r"  - (\w+)", block[1]))


def _named(subject: Subject, files: list[Path]) -> dict[str, str]:
    found = {}
    for file in files:
        match = _NAME.search(file.read_text(encoding="utf-8"))
        assert match is not None, file
        title = match[1].replace("${service}", subject.service).replace("${environment}", subject.environment)
        found[file.name.partition(".")[0]] = title
    return found
