"""`terraform test` as users run it, with the stand-in in place of the provider."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from support.terraform import MODULE, VERSION, Workspace, copy_of_module, environment

# Each module is tested against its own lowest provider.
LOWEST = {".": VERSION, "project": "7.32.0", "channels": "7.19.0", "queries": "7.32.0"}
FILES = sorted(path.relative_to(MODULE) for path in MODULE.rglob("*.tftest.hcl"))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_terraform_test_file_passes(file: Path, tmp_path: Path, provider_at: Callable[[str], str]) -> None:
    folder = file.parents[1]
    settings = environment(tmp_path / "cli.tfrc", TF_REATTACH_PROVIDERS=provider_at(LOWEST[str(folder)]))
    workspace = Workspace(copy_of_module(tmp_path) / folder, settings)
    workspace.ok("init", "-no-color", "-input=false")
    done = workspace.run("test", "-json", f"-filter=tests/{file.name}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, "\n".join(line["@message"] for line in lines)
    (summary,) = [line["test_summary"] for line in lines if "test_summary" in line]
    assert summary["passed"] == (MODULE / file).read_text().count("\nrun ")
    assert summary["failed"] == summary["errored"] == summary["skipped"] == 0


@pytest.mark.parametrize("folder", LOWEST)
def test_every_variable_has_a_run_that_expects_its_failure(folder: str) -> None:
    declared = set(re.findall(r'^variable "(\w+)"', (MODULE / folder / "variables.tf").read_text(), re.MULTILINE))
    texts = [path.read_text() for path in (MODULE / folder / "tests").glob("*.tftest.hcl")]
    expected = set(re.findall(r"expect_failures = \[var\.(\w+)\]", "\n".join(texts)))
    # A map of ephemeral secrets takes any text: its keys are checked where they are used.
    assert expected == declared - {"secrets"}
