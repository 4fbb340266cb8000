"""docs/reference/policies.md: every alert policy, from its file, defaults.yaml and its runbook."""

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from app.emulator.definitions.catalogue import data_root
from app.emulator.definitions.defaults import FILE, Defaults, defaults
from app.emulator.definitions.loading import Definition, load

_ROOT: Final = Path(__file__).parents[2]
_RUNBOOKS: Final = _ROOT / "docs" / "runbooks"
_VARIABLES: Final = {
    "project": "my-project",
    "service": "items",
    "environment": "production",
    "host": "items.example.com",
    "policies": "all",
}
_PLATFORMS: Final = ("cloud_run", "gke")

_HEAD: Final = """\
# Alert policies

{note}

{count} policies, by name. [The alerts](../guides/alerts.md) has them on one screen and says how to choose and change
them; each runbook says what to do. *Opens at* is the condition's own title with the default thresholds; the whole query
stands in the file.

- *Thresholds* are variables: `--var thresholds.high_error_rate.ratio=0.02` for `cloudops apply`, and
  `thresholds = {{ high_error_rate = {{ ratio = 0.02 }} }}` for Terraform.
- *Tiers*: of several policies that tell one symptom, one speaks
  ([decision 11](../decisions/0011-one-symptom-one-page.md)).
- *Off* by default means that it is chosen by name: `policies = ["default", "queue_age"]`.
"""


def page(note: str) -> str:
    found = defaults(data_root() / FILE)
    policies = sorted(_policies(), key=lambda one: one.key)
    by_key = [(key, list(group)) for key, group in groupby(policies, key=lambda one: one.key)]
    lines = [_HEAD.format(note=note, count=len(by_key))]
    for key, files in by_key:
        lines += [f"## {key}", "", *_told(key, files, found), ""]
    return "\n".join(lines)


def _policies() -> Iterator[Definition]:
    """Those of both platforms; a policy of neither comes once."""
    seen: set[Path] = set()
    for platform in _PLATFORMS:
        for one in load(data_root(), {**_VARIABLES, "platform": platform}):
            if one.kind == "policy" and one.file not in seen:
                seen.add(one.file)
                yield one


def _told(key: str, files: list[Definition], found: Defaults) -> Iterator[str]:
    data = files[0].data
    [condition] = data["conditions"]
    labels = data["userLabels"]
    yield f"- Opens at: {condition['displayName']}{_wait(condition, files)}"
    default = "on" if key in found.policies else "off"
    yield f"- Severity {data['severity']}, priority {labels['priority']}, team {labels['team']}; by default {default}"
    if own := found.thresholds.get(key, {}):
        yield f"- Thresholds: {', '.join(f'`thresholds.{key}.{name}` = {value}' for name, value in own.items())}"
    if others := sorted(_named("thresholds", files) - {f"thresholds.{key}.{name}" for name in own}):
        yield f"- Reads too: {', '.join(f'`{name}`' for name in others)}"
    if above := found.tiers.get(key):
        names = " or ".join(f"[`{one.policy}`](#{one.policy})" for one in above)
        waits = {one.wait for one in above} - {"0s"}
        wait = f", and waits up to {max(waits, key=lambda text: int(text[:-1]))} to see which it is" if waits else ""
        yield f"- Tier: where {names} is on, this one is silent above that one's threshold{wait}"
    yield f"- {_without_data(key)}"
    where = ", ".join(f"[`{_place(one)}`](../../terraform/monitoring/policies/{_place(one)})" for one in files)
    yield f"- [Runbook](../runbooks/{key}.md), {'file' if len(files) == 1 else 'files'} {where}"


def _place(one: Definition) -> str:
    return one.file.relative_to(data_root() / "policies").as_posix()


def _named(group: str, files: list[Definition]) -> set[str]:
    return {name for one in files for name in re.findall(rf"\$\{{({group}\.[\w.]+)\}}", one.file.read_text())}


def _wait(condition: Mapping[str, Any], files: list[Definition]) -> str:
    """How long the query has to hold, where it does not depend on which other policies are on."""
    query = condition.get("conditionPrometheusQueryLanguage", {})
    seconds = int(query.get("duration", "0s").rstrip("s"))
    return f"; the query has to hold for {seconds} s" if seconds and not _named("tiers", files) else ""


_SILENCE: Final = re.compile(r"\b[Nn]o (?:data|entries)\b|\bwithout data\b")


def _without_data(key: str) -> str:
    """The paragraph of the runbook's part `Meaning` that says it.

    Raises:
        ValueError: None does.
    """
    text = (_RUNBOOKS / f"{key}.md").read_text(encoding="utf-8")
    meaning = text.partition("## Meaning\n")[2].partition("\n## ")[0]
    for paragraph in meaning.split("\n\n"):
        if _SILENCE.search(paragraph):
            return re.sub(r"\]\((\w+)\.md\)", r"](../runbooks/\1.md)", " ".join(paragraph.split()))
    raise ValueError(f"docs/runbooks/{key}.md does not say what no data means")
