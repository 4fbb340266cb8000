"""What a runbook tells people to paste must work when it is pasted, and the files it points at must be there."""

import re
from pathlib import Path

import pytest

from app.emulator.lint.known import Metrics
from app.emulator.lint.queries import Reading, promql
from app.emulator.logging.query import compile_query

RUNBOOKS = sorted((Path(__file__).parents[3] / "docs" / "runbooks").glob("*.md"))
POLICIES = Path(__file__).parents[3] / "terraform" / "monitoring" / "policies"
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
SECTIONS = ("Meaning", "Impact", "First five minutes", "Queries", "Causes and fixes", "Escalation")
STEPS = ("When", "Before", "Steps", "Check", "If it goes wrong", "Escalation")
INCIDENTS = {"service_degradation", "complete_outage", "data_corruption", "security_incident"}
GUIDES = {"high_latency", "error_spike", "memory", "throttling_resolution"}
PROCEDURES = {"deployment", "rollback", "cache_clearing", "state_reset"}
READING = Reading(Metrics(), strict_names=True, alert=False)


def blocks(language: str) -> list[object]:
    return [
        pytest.param(match[2], id=f"{path.stem}:{text.count(chr(10), 0, match.start()) + 1}")
        for path in RUNBOOKS
        for text in [path.read_text(encoding="utf-8")]
        for match in BLOCK.finditer(text)
        if match[1] == language
    ]


@pytest.mark.parametrize("query", blocks("promql"))
def test_a_promql_query_parses_and_names_metrics_and_labels_that_there_are(query: str) -> None:
    told: list[str] = []
    promql(query, READING, lambda level, rule, message, _: told.append(f"{level} {rule}: {message}"))
    assert told == []


def test_a_query_with_a_misspelt_metric_or_label_would_be_told() -> None:
    for query in ("rate(http_requests_total[5m])", 'rate(http_request_total{status="500"}[5m])', "sum(", "rate(x[5m])"):
        told: list[str] = []
        promql(query, READING, lambda level, rule, message, _, told=told: told.append(rule))  # type: ignore[misc]  # binds the list of this round
        assert told != [], query


@pytest.mark.parametrize("query", blocks("logs"))
def test_a_logging_filter_compiles(query: str) -> None:
    compile_query(query)


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_has_its_sections_marks_its_blocks_and_links_to_files_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == (STEPS if path.stem in PROCEDURES else SECTIONS)
    assert {match[1] for match in BLOCK.finditer(text)} <= {"promql", "logs", "sh"}
    for link in LINK.findall(text):
        assert (path.parent / link).exists(), link


def test_the_runbooks_that_belong_to_no_policy_are_there() -> None:
    assert {path.stem for path in RUNBOOKS} >= INCIDENTS | GUIDES | PROCEDURES


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_fits_the_small_hours(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first = re.search(r"^## (?:First five minutes|Steps)\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert first is not None
    steps = re.findall(r"^\d+\. ", first[1], re.MULTILINE)
    assert 3 <= len(steps) <= 6
    assert blocks_of(text) >= 3
    assert len(text.splitlines()) < 200


def blocks_of(text: str) -> int:
    return sum(match[1] in {"promql", "logs"} for match in BLOCK.finditer(text))


def test_a_policys_runbook_says_what_no_data_means() -> None:
    policies = {path.name.partition(".")[0] for path in POLICIES.rglob("*.tftpl")}
    for name in policies:
        text = (RUNBOOKS[0].parent / f"{name}.md").read_text(encoding="utf-8")
        assert re.search(r"[Nn]o data|No entries|without data", text), name


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_what_is_done_on_cloud_run_is_told_for_gke_too(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("gcloud run") == 0 or "On GKE: " in text
    assert "run.googleapis.com%2Fvarlog%2Fsystem" not in text or "GKE" in text or "k8s_" in text
