"""The README's tables say what variables.tf and outputs.tf say, and its first block of HCL plans."""

import re

from support.terraform import MODULE, Workspace

README = (MODULE / "README.md").read_text()


def blocks(file: str, kind: str) -> dict[str, dict[str, str]]:
    """Each block's single-line arguments, by its name."""
    found = re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', (MODULE / file).read_text(), re.MULTILINE | re.DOTALL)
    return {name: dict(re.findall(r"^  (\w+) += (.+)$", body, re.MULTILINE)) for name, body in found}


def table(heading: str) -> list[str]:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_the_table_of_inputs_is_that_of_variables_tf() -> None:
    expected = [
        f"| `{name}` | {of['description'].strip(chr(34))} | `{of['type']}` | "
        + (f"`{of['default']}` |" if "default" in of else "required |")
        for name, of in blocks("variables.tf", "variable").items()
    ]
    assert table("Inputs") == expected


def test_the_table_of_outputs_is_that_of_outputs_tf() -> None:
    expected = [
        f"| `{name}` | {of['description'].strip(chr(34))} |" for name, of in blocks("outputs.tf", "output").items()
    ]
    assert table("Outputs") == expected


def test_the_readmes_module_block_plans(module: Workspace) -> None:
    (block,) = re.findall(r'   (module "monitoring" {\n.*?\n   })', README, re.DOTALL)
    folder = module.folder.parents[1]
    (folder / "main.tf").write_text(block.replace("\n   ", "\n"))
    workspace = Workspace(folder, module.environment)
    workspace.ok("init", "-no-color", "-input=false")
    assert workspace.plan()["resource_changes"]


def test_every_name_that_templates_may_use_is_told() -> None:
    (texts,) = re.findall(r"  _texts = {\n(.*?)\n  }", (MODULE / "definitions.tf").read_text(), re.DOTALL)
    names = {*re.findall(r"^    (\w+) +=", texts, re.MULTILINE), "metrics.<name>"}
    told = README.split("Templates take plain names")[1].split("\n- ")[0]
    assert set(re.findall(r"`\$\{([^}]+)\}`", told)) == names
