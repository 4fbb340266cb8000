"""Every alert policy against its scripts: when it fires, when it recovers, when it must not say a word."""

from pathlib import Path
from typing import Any

import pytest

from app.emulator.alerttest.policies import Policy
from app.emulator.alerttest.run import run_case
from app.emulator.alerttest.script import Case, Script, read_script
from app.emulator.definitions import Definition, data_root, load

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[3]
VARIABLES = {
    "service": "test",
    "environment": "test",
    "project": "demo",
    "location": "europe-west1",
    "host": "test.example.com",
    "runbook_base_url": "https://example.com/runbooks",
}
POLICIES: dict[str, Definition] = {one.key: one for one in load(data_root(), VARIABLES) if one.kind == "policy"}
SCRIPTS = {path: read_script(path) for path in sorted(HERE.glob("*.yaml"))}


CASES = [
    pytest.param(script, case, id=f"{path.stem}: {case.name}")
    for path, script in SCRIPTS.items()
    for case in script.cases
]


def failures(script: Script, case: Case, message: Any) -> list[str]:
    """What came out otherwise, with this message in place of the file's."""
    name = next(iter(case.policies))
    return [str(one) for one in run_case(script, case, [Policy(name, message, "test")]).failures]


@pytest.mark.parametrize(("script", "case"), CASES)
def test_the_policy_does_what_its_script_says(script: Script, case: Case) -> None:
    policies = [Policy(one.key, one.message(), str(one.file)) for one in POLICIES.values()]
    assert [str(one) for one in run_case(script, case, policies).failures] == []


def test_every_policy_has_a_script_and_a_runbook() -> None:
    scripted = {name for script in SCRIPTS.values() for case in script.cases for name in case.policies}
    runbooks = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert POLICIES.keys() - scripted == set()
    assert POLICIES.keys() - runbooks == set()


def test_every_policy_says_who_is_told_and_what_to_do() -> None:
    for definition in POLICIES.values():
        data = definition.data
        assert data["severity"] in {"CRITICAL", "ERROR", "WARNING"}
        assert data["userLabels"]["priority"] in {"p1", "p2", "p3", "p4"}
        assert data["userLabels"]["team"]
        assert data["documentation"]["subject"]
        assert f"https://example.com/runbooks/{definition.key}.md" in data["documentation"]["content"]
        assert data["alertStrategy"]["autoClose"]
        assert "notificationChannels" not in data


def test_a_policy_that_does_not_fire_is_noticed_by_its_script() -> None:
    script = SCRIPTS[HERE / "high_error_rate.yaml"]
    blunt = POLICIES["high_error_rate"].message()
    body = blunt.conditions[0].condition_prometheus_query_language
    body.query = body.query.replace("> 0.05", "> 5")
    told = [one for case in script.cases for one in failures(script, case, blunt)]
    assert any("open incidents\n    expected  1\n    got       0" in one for one in told)


@pytest.mark.parametrize(
    ("guard", "name"),
    [
        (" > 20", "low traffic is silent, even when every request fails"),
        (" >= 3", "a single failing request is silent, also on a quiet service"),
        (',endpoint!~"/health.*"', "health routes do not count, neither as failures nor as traffic"),
    ],
)
def test_each_guard_of_the_high_error_rate_is_needed(guard: str, name: str) -> None:
    script = SCRIPTS[HERE / "high_error_rate.yaml"]
    policy = POLICIES["high_error_rate"].message()
    body = policy.conditions[0].condition_prometheus_query_language
    assert guard in body.query
    body.query = body.query.replace(guard, " > 0" if guard.startswith(" ") else "")
    (case,) = [one for one in script.cases if one.name == name]
    assert failures(script, case, policy) != []
