"""Every alert policy against its scripts: when it fires, when it recovers, when it must not say a word."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from app.emulator.alerttest.policies import Policy
from app.emulator.alerttest.run import run_case
from app.emulator.alerttest.script import Case, Script, read_script
from app.emulator.definitions import Definition, DefinitionError, data_root, load
from app.emulator.definitions.defaults import FILE, defaults

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
PLATFORMS = ("cloud_run", "gke")
SCRIPTS = {path: read_script(path) for path in sorted(HERE.glob("*.yaml"))}


@cache
def loaded(**given: str) -> dict[str, Definition]:
    """The policies as a script's variables want them; all of them are on unless it says otherwise."""
    return {one.key: one for one in load(data_root(), {**VARIABLES, **given}) if one.kind == "policy"}


POLICIES = loaded()
EVERY = [(platform, one) for platform in PLATFORMS for one in loaded(platform=platform).values()]


def for_script(script: Script) -> list[Policy]:
    given = {name: str(value) for name, value in script.variables.items()}
    return [Policy(one.key, one.message(), str(one.file)) for one in loaded(**given).values()]


CASES = [
    pytest.param(script, case, id=f"{path.stem}: {case.name}")
    for path, script in SCRIPTS.items()
    for case in script.cases
]


def test_a_policy_is_one_promql_condition_that_needs_no_metric_to_exist_yet() -> None:
    for _, definition in EVERY:
        (condition,) = definition.data["conditions"]
        if definition.key == "error_logged":
            assert definition.data["alertStrategy"]["notificationRateLimit"] == {"period": "3600s"}
            continue
        body = condition["conditionPrometheusQueryLanguage"]
        assert body["disableMetricValidation"] is True
        assert body["evaluationInterval"] == "60s"


def test_what_is_told_for_working_hours_never_pages() -> None:
    quiet = {"error_logged", "service_degraded", "slo_availability_slow_burn", "elevated_rate_limiting"}
    assert {POLICIES[key].data["userLabels"]["priority"] for key in quiet} <= {"p3", "p4"}


def test_the_defaults_name_policies_and_thresholds_that_there_are() -> None:
    found = defaults(data_root() / FILE)
    keys = {one.key for _, one in EVERY}
    shared = {"slo_availability", "slo_latency"}
    assert found.policies <= keys
    assert found.thresholds.keys() - shared <= keys
    assert found.tiers.keys() <= keys
    for above in found.tiers.values():
        assert all(one.threshold in found.thresholds[one.policy] for one in above)
    assert loaded(policies="default").keys() == found.policies


def test_every_threshold_moves_the_query_of_its_policy() -> None:
    text = "".join(path.read_text() for path in data_root().rglob("*.tftpl"))
    for policy, values in defaults(data_root() / FILE).thresholds.items():
        for name in values:
            assert f"${{thresholds.{policy}.{name}}}" in text, f"{policy}.{name}"


def test_a_threshold_can_be_set_and_a_misspelt_one_is_told() -> None:
    query = loaded(**{"thresholds.high_error_rate.ratio": "0.02"})["high_error_rate"].data["conditions"][0]
    assert ") > 0.02\n" in query["conditionPrometheusQueryLanguage"]["query"]
    with pytest.raises(DefinitionError, match=r"did you mean thresholds\.high_error_rate\.ratio"):
        loaded(**{"thresholds.high_error_rate.ration": "0.02"})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("high_error_rate.ratio", "5", "write a share from 0 to below 1"),
        ("slo_availability.goal", "1", "write a share from 0 to below 1"),
        ("high_error_rate.requests", "-3", "none below 0"),
        ("high_error_rate.ratio", "5%", "write a number"),
        ("p99_latency.seconds", "nan", "write a number"),
    ],
)
def test_a_threshold_out_of_range_is_refused(name: str, value: str, told: str) -> None:
    """5 for 5 % would be a policy that never fires."""
    with pytest.raises(DefinitionError, match=f"thresholds.{name} = {value}: .*{told}"):
        loaded(**{f"thresholds.{name}": value})


def test_a_choice_of_policies_reads_from_left_to_right_and_knows_its_names() -> None:
    assert "queue_age" in loaded(policies="default,queue_age,-ddos_attempt")
    assert "ddos_attempt" not in loaded(policies="default,queue_age,-ddos_attempt")
    with pytest.raises(DefinitionError, match="did you mean queue_age"):
        loaded(policies="default,queue_aeg")


def test_with_several_regions_ratios_are_grouped_by_location() -> None:
    several = loaded(regions="europe-west1,us-east1")
    for key in ("high_error_rate", "service_unavailable", "performance_degradation", "high_error_rate_platform"):
        query = several[key].data["conditions"][0]["conditionPrometheusQueryLanguage"]["query"]
        assert "location" in query
        assert "location" not in POLICIES[key].data["conditions"][0]["conditionPrometheusQueryLanguage"]["query"]


def failures(script: Script, case: Case, message: Any) -> list[str]:
    """What came out otherwise, with this message in place of the file's."""
    name = next(iter(case.policies))
    return [str(one) for one in run_case(script, case, [Policy(name, message, "test")]).failures]


@pytest.mark.parametrize(("script", "case"), CASES)
def test_the_policy_does_what_its_script_says(script: Script, case: Case) -> None:
    assert [str(one) for one in run_case(script, case, for_script(script)).failures] == []


def test_every_policy_has_a_script_for_its_platform_and_a_runbook() -> None:
    scripted = {
        (str(script.variables.get("platform", "cloud_run")), name)
        for script in SCRIPTS.values()
        for case in script.cases
        for name in case.policies
    }
    runbooks = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    # A file beside the platforms' folders is the same for both.
    needed = {(one.file.parent.name if one.file.parent.name in PLATFORMS else "cloud_run", one.key) for _, one in EVERY}
    assert needed - scripted == set()
    assert {key for _, key in needed} - runbooks == set()


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda script: script.path.stem)
def test_a_script_shows_when_its_policy_fires_and_when_it_must_not(script: Script) -> None:
    opened = [one for case in script.cases for one in case.expect if one.open]
    silent = [case for case in script.cases if not any(one.open for one in case.expect)]
    assert opened
    if not script.path.stem.endswith(("_in_the_demo", "_alone", "_in_several_regions")):
        assert silent
        assert any("no data" in case.name or "never reported" in case.name or "no entries" in case.name
                   for case in [one for other in SCRIPTS.values() if other.cases[0].policies & script.cases[0].policies
                                for one in other.cases])  # fmt: skip


def test_every_policy_says_who_is_told_and_what_to_do() -> None:
    for _, definition in EVERY:
        data = definition.data
        # A log condition has no reminders (cloud.google.com/monitoring/alerts/policies-in-json).
        if definition.key != "error_logged":
            assert data["userLabels"]["renotify"] in {"1800s", "14400s", "86400s"}
        assert re.search(r"^1\. .*^3\. ", data["documentation"]["content"], re.MULTILINE | re.DOTALL)
        assert len(data["documentation"]["content"]) < 8192
        assert data["severity"] in {"CRITICAL", "ERROR", "WARNING"}
        assert data["userLabels"]["priority"] in {"p1", "p2", "p3", "p4"}
        assert data["userLabels"]["team"]
        assert data["documentation"]["subject"]
        assert f"https://example.com/runbooks/{definition.key}.md" in data["documentation"]["content"]
        assert data["alertStrategy"]["autoClose"]
        assert "notificationChannels" not in data


def test_a_policy_that_does_not_fire_is_noticed_by_its_script() -> None:
    script = SCRIPTS[HERE / "high_error_rate.yaml"]
    blunt = loaded(policies="default")["high_error_rate"].message()
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
    policy = loaded(policies="default")["high_error_rate"].message()
    body = policy.conditions[0].condition_prometheus_query_language
    assert guard in body.query
    body.query = body.query.replace(guard, " > 0" if guard.startswith(" ") else "")
    (case,) = [one for one in script.cases if one.name == name]
    assert failures(script, case, policy) != []


def with_query(policy: Policy, query: str) -> Policy:
    changed = type(policy.message)()
    changed.CopyFrom(policy.message)
    changed.conditions[0].condition_prometheus_query_language.query = query
    return policy._replace(message=changed)


# A log condition has no query.
QUERIED = [script for path, script in SCRIPTS.items() if path.stem != "error_logged"]


@pytest.mark.parametrize("query", ["vector(0) > 1", "vector(1) > 0"], ids=["never", "always"])
@pytest.mark.parametrize("script", QUERIED, ids=lambda script: script.path.stem)
def test_a_script_notices_a_policy_that_never_fires_and_one_that_always_does(script: Script, query: str) -> None:
    (key,) = {name for name in script.cases[0].policies if script.path.stem.startswith(name)}
    policies = for_script(script)
    changed = [with_query(one, query) if one.key == key else one for one in policies]
    assert run_case(script, script.cases[0], changed).failures


def test_the_guide_lists_every_policy_with_its_priority_and_whether_it_is_on() -> None:
    guide = (ROOT / "docs" / "guides" / "alerts.md").read_text(encoding="utf-8")
    rows = {
        key: (priority, on)
        for key, priority, on in re.findall(r"^\| \[`(\w+)`\].* \| (p\d) \| \w+ \| (\w*) ?\|$", guide, re.MULTILINE)
    }
    default = defaults(data_root() / FILE).policies
    assert rows == {
        one.key: (one.data["userLabels"]["priority"], "on" if one.key in default else "") for _, one in EVERY
    }


@pytest.mark.parametrize("key", ["memory_pressure", "revision_regression", "instance_count", "high_error_rate"])
def test_a_script_holds_in_other_domains_too_where_resource_and_labels_are_others(key: str) -> None:
    script = read_script(HERE / f"{key}.yaml", {"metrics_domain": "custom"})
    for case in script.cases:
        assert [str(one) for one in run_case(script, case, for_script(script)).failures] == []
