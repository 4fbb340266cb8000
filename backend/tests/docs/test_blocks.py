"""Every fenced block of a document is a file that runs, or is read here by what reads its language."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sqlglot
import yaml

from app.emulator.promql.dialect import CLOUD
from app.emulator.promql.parse import parse as parse_promql
from support.blocks import BLOCKS, ROOT, RUNBOOKS, Block, blocks_of
from support.manifests import problems as manifest_problems
from support.shell import problems as shell_problems
from support.tools import tool

EXAMPLES = ROOT / "docs" / "examples"
#: Above a block: a file whose content it is, a test that looks for it, or what writes it.
SHOWN = [block for block in BLOCKS if block.marker.startswith("docs/examples/")]
PLAIN = [block for block in BLOCKS if not block.marker.startswith("docs/examples/")]
SHELL = {"console", "sh", "bash"}


def _in(*languages: str) -> list[Block]:
    return [block for block in PLAIN if block.language in languages]


def test_no_block_is_of_a_language_that_nobody_reads():
    read = {*SHELL, "python", "yaml", "json", "hcl", "mermaid", "sql", "promql"}
    # Searches of logs have no name on GitHub; test_searches.py runs them.
    others = [str(one) for one in PLAIN if one.language not in read and one.page != "docs/reference/searches.md"]
    assert others == [], "name its language, show a file of docs/examples, or read it here"
    assert len(BLOCKS) > 150


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_a_block_that_shows_a_file_shows_it(block):
    assert block.text == (ROOT / block.marker).read_text()


def test_every_example_is_shown_or_run_by_a_test():
    tests = "".join(path.read_text() for path in (ROOT / "backend" / "tests").rglob("test_*.py"))
    shown = {block.marker for block in SHOWN}
    files = [path for path in EXAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    # tests/cli/test_test.py runs all that is in this folder.
    files = [path for path in files if path.parent != EXAMPLES / "alerts"]
    alone = [str(path) for path in files if str(path.relative_to(ROOT)) not in shown and path.name not in tests]
    assert alone == []


@pytest.mark.parametrize("block", _in(*SHELL), ids=str)
def test_a_command_is_one_that_its_program_takes(block):
    assert list(shell_problems(block.text)) == []


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_a_command_of_a_runbook_is_one_that_its_program_takes(runbook):
    blocks = list(blocks_of(runbook))
    assert {one.language for one in blocks} <= {"sh", "promql", "logs"}  # the others: tests/policies/test_runbooks.py
    assert [why for one in blocks if one.language == "sh" for why in shell_problems(one.text)] == []


@pytest.mark.parametrize("block", _in("python"), ids=str)
def test_python_compiles(block):
    compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_what_python_imports_of_the_library_is_there():
    """In one process of its own, under the name that users import."""
    lines = {line for block in _in("python") for line in _imports(ast.parse(block.text))}
    assert lines
    answer = subprocess.run(
        [sys.executable, "-c", "\n".join(sorted(lines))], capture_output=True, text=True, check=False, cwd="/"
    )
    assert answer.returncode == 0, answer.stderr


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fastapi_cloudops"):
            yield ast.unparse(node)


@pytest.mark.parametrize("block", _in("json"), ids=str)
def test_json_is_json(block):
    try:
        json.loads(block.text)
    except ValueError:  # one document a line
        for line in block.text.splitlines():
            json.loads(line)


def _manifests() -> list[Any]:
    """Kubernetes' and its relatives', of blocks and of examples."""
    found = [pytest.param(one, id=str(block)) for block in _in("yaml") for one in yaml.safe_load_all(block.text)]
    for path in sorted(EXAMPLES.rglob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        if "apiVersion" in document:
            found.append(pytest.param(document, id=str(path.relative_to(ROOT))))
    return found


@pytest.mark.parametrize("manifest", _manifests())
def test_a_manifest_is_one_that_its_platform_knows(manifest):
    assert manifest_problems(manifest) == []
    for rule in [rule for group in manifest["spec"].get("groups", ()) for rule in group["rules"]]:
        parse_promql(rule["expr"], CLOUD)


@pytest.mark.parametrize("block", _in("hcl"), ids=str)
def test_hcl_is_formatted(block, tmp_path):
    file = tmp_path / "block.tf"
    file.write_text(block.text)
    subprocess.run([tool("terraform"), "fmt", "-check", "-diff", str(file)], check=True)


@pytest.mark.parametrize("block", _in("sql"), ids=str)
def test_sql_is_bigquerys(block):
    [statement] = sqlglot.parse(block.text, dialect="bigquery")
    assert isinstance(statement, sqlglot.exp.Select)


# The part of the grammar that we use: mermaid.js.org/syntax/flowchart.html.
_NODE = r"\w+(?:\[\(?[^\[\](){}]+\)?\]|\(\[[^\[\](){}]+\]\)|\{[^\[\](){}]+\})?"
_LINE = re.compile(rf"{_NODE}(?: -->(?:\|[^|]+\|)? {_NODE})*|subgraph \w+ \[[^\[\](){{}}]+\]|end")


@pytest.mark.parametrize("block", _in("mermaid"), ids=str)
def test_a_diagram_is_one_that_mermaid_draws(block):
    head, *lines = [line.strip() for line in block.text.splitlines()]
    assert head in {"flowchart LR", "flowchart TB"}
    assert [line for line in lines if not _LINE.fullmatch(line)] == []
    assert lines.count("end") == sum(line.startswith("subgraph ") for line in lines)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("make nonsense", "no target"),
        ("pip install 'fastapi-cloudops[nonsense]'", "no extra"),
        ("uvicorn main:app --nonsense", "No such option"),
        ("gunicorn main:app --nonsense", "unrecognized"),
        ("FORTY=2 rocket launch", "nobody checks"),
        ("for item in 1; do", "syntax error"),
    ],
)
def test_a_wrong_command_is_noticed(block, said):
    assert said in " ".join(shell_problems(block))


@pytest.mark.parametrize(
    "change", [{"kind": "Deploymint"}, {"spec": {"template": {"spec": {"containers": [{"image": 7}]}}}}, {"spce": {}}]
)
def test_a_wrong_manifest_is_noticed(change):
    good = yaml.safe_load((EXAMPLES / "health" / "gke.yaml").read_text())
    assert manifest_problems(good) == []
    assert manifest_problems({**good, **change})
