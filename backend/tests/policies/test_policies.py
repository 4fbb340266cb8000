"""Every alert policy against its scripts: when it fires, when it recovers, when it must not say a word."""

from pathlib import Path

import pytest

from app.emulator.alerting.scripts import Case, Script, ScriptError, expand, read_script, run_case, seconds_of
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


@pytest.mark.parametrize(("script", "case"), CASES)
def test_the_policy_does_what_its_script_says(script: Script, case: Case) -> None:
    assert run_case(script, case, POLICIES[script.policy].message()) == []


def test_every_policy_has_a_script_and_a_runbook() -> None:
    scripted = {script.policy for script in SCRIPTS.values()}
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
    assert any(
        "0 incidents are open, expected 1" in one for case in script.cases for one in run_case(script, case, blunt)
    )


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
    assert run_case(script, case, policy) != []


def test_the_notation_is_promtools() -> None:
    assert list(expand("1+2x3 4x2 5-1x1 _ _x2 7")) == [1, 3, 5, 7, 4, 4, 4, 5, 4, None, None, None, 7]
    assert seconds_of("1m30s") == 90
    for broken in ("1++2", "x3", "1x"):
        with pytest.raises(ScriptError):
            list(expand(broken))
    with pytest.raises(ScriptError):
        seconds_of("5 minutes")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("policy: p\n", "tests is missing"),
        ("policy: p\nevery: 5s\ntests: []\n", "every is no field here"),
        ("policy: p\ntests: [{name: t, series: [], expect: [{at: 5m}]}]\n", "says how many"),
        ("policy: p\ntests: [{name: t, series: [{metric: 'm{', values: '1'}], expect: []}]\n", 'test "t"'),
    ],
)
def test_a_script_that_cannot_be_read_says_why(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ScriptError, match=reason):
        read_script(path)


def test_a_counter_that_falls_without_a_restart_is_a_mistake_of_the_script(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "policy: p\ntests: [{name: t, series: [{metric: m, values: '5 4'}], expect: [{at: 5m, open: 0}]}]\n"
    )
    script = read_script(path)
    with pytest.raises(ScriptError, match="falls from 5 to 4"):
        run_case(script, script.cases[0], POLICIES["high_error_rate"].message())
