"""`terraform test` as users run it, with the stand-in in place of the provider."""

import json

import pytest

from support.terraform import MODULE, Workspace


@pytest.mark.parametrize("file", sorted(path.name for path in (MODULE / "tests").glob("*.tftest.hcl")))
def test_a_terraform_test_file_passes(file: str, module: Workspace) -> None:
    done = module.run("test", "-json", f"-filter=tests/{file}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, "\n".join(line["@message"] for line in lines)
    (summary,) = [line["test_summary"] for line in lines if "test_summary" in line]
    assert summary["passed"] == (MODULE / "tests" / file).read_text().count("\nrun ")
    assert summary["failed"] == summary["errored"] == summary["skipped"] == 0
