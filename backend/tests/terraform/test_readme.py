"""The README's tables say what variables.tf and outputs.tf say, and its first block of HCL plans."""

import os
import re

import pytest

from support.terraform import MODULE, Workspace
from tools.module_tables import blocks, with_tables

README = MODULE / "README.md"


def test_the_tables_are_those_of_the_modules() -> None:
    text = README.read_text()
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        README.write_text(with_tables(text))
    assert README.read_text() == with_tables(text), "run `make snapshots` and review the diff"


@pytest.mark.parametrize(
    ("folder", "kind"), [(one, kind) for one in (".", "project", "channels", "queries") for kind in ("in", "out")]
)
def test_each_module_has_its_tables(folder: str, kind: str) -> None:
    file, block = {"in": ("variables.tf", "variable"), "out": ("outputs.tf", "output")}[kind]
    table = README.read_text().split(f"<!-- {kind}puts of {folder} -->")[1].split("<!-- end -->")[0]
    declared = blocks((MODULE / folder / file).read_text(), block)
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(declared)
    assert all(given["description"].strip('"') for given in declared.values())


def test_the_readmes_module_block_plans(module: Workspace) -> None:
    block = re.findall(r'   (module "monitoring" {\n.*?\n   })', README.read_text(), re.DOTALL)[0]
    folder = module.folder.parents[1]
    (folder / "main.tf").write_text(block.replace("\n   ", "\n"))
    workspace = Workspace(folder, module.environment)
    workspace.ok("init", "-no-color", "-input=false")
    assert workspace.plan()["resource_changes"]


def test_every_name_that_templates_may_use_is_told() -> None:
    text = (MODULE / "definitions.tf").read_text()
    names = {
        name
        for local in ("_texts", "_shared")
        for name in re.findall(r"^    (\w+) +=", text.split(f"  {local} = {{\n")[1].split("\n  }")[0], re.MULTILINE)
    }
    told = README.read_text().split("Templates take plain names")[1].split("\n- ")[0]
    assert {name.split(".")[0] for name in re.findall(r"`\$\{([^}]+)\}`", told)} == names | {
        "resource_filters",
        "resources",
    }
