"""What a runbook tells people to paste must work when it is pasted, and the files it points at must be there."""

import re
from pathlib import Path

import pytest

from app.emulator.alerting.metric_names import promql_metrics
from app.emulator.definitions.catalogue import catalogue_metrics
from app.emulator.logging.query import compile_query
from app.emulator.promql.dialect import CLOUD
from app.emulator.promql.parse import parse

RUNBOOKS = sorted((Path(__file__).parents[3] / "docs" / "runbooks").glob("*.md"))
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
SECTIONS = ("Meaning", "Impact", "First five minutes", "Queries", "Causes and fixes", "Escalation")


def blocks(language: str) -> list[object]:
    return [
        pytest.param(match[2], id=f"{path.stem}:{text.count(chr(10), 0, match.start()) + 1}")
        for path in RUNBOOKS
        for text in [path.read_text(encoding="utf-8")]
        for match in BLOCK.finditer(text)
        if match[1] == language
    ]


@pytest.mark.parametrize("query", blocks("promql"))
def test_a_promql_query_parses_and_reads_metrics_of_the_catalogue(query: str) -> None:
    parse(query, CLOUD)
    known = catalogue_metrics()
    for name in promql_metrics(query):
        base = name if name in known else re.sub("_(bucket|sum|count)$", "", name)
        assert base in known, name


@pytest.mark.parametrize("query", blocks("logs"))
def test_a_logging_filter_compiles(query: str) -> None:
    compile_query(query)


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_has_its_sections_marks_its_blocks_and_links_to_files_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS
    assert {match[1] for match in BLOCK.finditer(text)} <= {"promql", "logs", "sh"}
    for link in LINK.findall(text):
        assert (path.parent / link).exists(), link
