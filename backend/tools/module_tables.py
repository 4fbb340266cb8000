"""Write the tables of inputs and outputs in terraform/monitoring/README.md from variables.tf and outputs.tf.

A table stands between `<!-- inputs of FOLDER -->` (or `outputs`) and `<!-- end -->`; FOLDER is below the module.
"""

import re
from pathlib import Path

MODULE = Path(__file__).parents[2] / "terraform" / "monitoring"
_TABLE = re.compile(r"<!-- (inputs|outputs) of (\S+) -->\n.*?<!-- end -->", re.DOTALL)
# A variable whose type is `any` says the shape that it takes in a comment.
_SHAPE = re.compile(r"((?:^  #.*\n)+)  type( +)= any$", re.MULTILINE)
_ARGUMENT = re.compile(r"^  (\w+) += (.*?)(?=^  \w+ +=|^  validation \{|\Z)", re.MULTILINE | re.DOTALL)


def blocks(text: str, kind: str) -> dict[str, dict[str, str]]:
    """Name -> argument -> its HCL on one line."""
    found = re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', text, re.MULTILINE | re.DOTALL)
    return {name: {key: _one_line(value) for key, value in _ARGUMENT.findall(_shaped(body))} for name, body in found}


def _shaped(body: str) -> str:
    return _SHAPE.sub(lambda match: f"  type = {re.sub(r'^  # ?', '', match[1], flags=re.MULTILINE).strip()}", body)


def inputs(folder: str) -> str:
    rows = ["| name | what it is | type | default |", "|---|---|---|---|"]
    for name, given in blocks((MODULE / folder / "variables.tf").read_text(), "variable").items():
        default = f"`{given['default']}`" if "default" in given else "required"
        rows.append(f"| `{name}` | {_text(given['description'])} | `{given['type']}` | {default} |")
    return "\n".join(rows)


def outputs(folder: str) -> str:
    rows = ["| name | what it is |", "|---|---|"]
    for name, given in blocks((MODULE / folder / "outputs.tf").read_text(), "output").items():
        rows.append(f"| `{name}` | {_text(given['description'])} |")
    return "\n".join(rows)


def with_tables(readme: str) -> str:
    """The text with every table written anew."""

    def table(match: re.Match[str]) -> str:
        kind, folder = match[1], match[2]
        rows = inputs(folder) if kind == "inputs" else outputs(folder)
        return f"<!-- {kind} of {folder} -->\n\n{rows}\n\n<!-- end -->"

    return _TABLE.sub(table, readme)


def _one_line(hcl: str) -> str:
    """Lines of a list or an object joined by commas, comments left out."""
    lines = [line.split("#")[0].strip() if '"' not in line else line.strip() for line in hcl.strip().splitlines()]
    text = ", ".join(line for line in lines if line)
    text = re.sub(r"([({\[]), ", r"\1 ", re.sub(r", ([)}\]])", r" \1", text))
    return re.sub(r"\s+", " ", text)


def _text(description: str) -> str:
    return description.strip('"').replace('\\"', '"').replace("$${", "${").replace("|", "\\|")


if __name__ == "__main__":
    path = MODULE / "README.md"
    path.write_text(with_tables(path.read_text()))
