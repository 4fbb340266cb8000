"""The Terraform modules with the real provider: `terraform test` of each, then one example applied and destroyed.

It needs a provider registry, and for the second half a test project and credentials (`gcloud auth application-default
login`). Without a project it stops after the tests, which call nothing but the registry.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = (".", "project", "channels", "queries")
EXAMPLE = "minimal"
# What `terraform plan -detailed-exitcode` answers when nothing would change.
_NO_CHANGES = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", nargs="?", default="", help="Id of a test project that may be written to.")
    project = parser.parse_args().project
    with tempfile.TemporaryDirectory() as folder:
        module = _copy(Path(folder))
        for name in MODULES:
            _terraform(module / name, "init", "-input=false", "-backend=false")
            _terraform(module / name, "validate")
            _terraform(module / name, "test")
        if not project:
            sys.stdout.write("No project given: nothing was applied.\n")
            return 0
        return _applied(module / "examples" / EXAMPLE, project)


def _applied(example: Path, project: str) -> int:
    given = ("-input=false", f"-var=project={project}")
    _terraform(example, "init", "-input=false")
    try:
        _terraform(example, "apply", "-auto-approve", *given)
        second = _terraform(example, "plan", "-detailed-exitcode", *given, check=False)
    finally:
        _terraform(example, "destroy", "-auto-approve", *given)
    sys.stdout.write("The second plan is empty.\n" if second == _NO_CHANGES else "The second plan is NOT empty.\n")
    return int(second != _NO_CHANGES)


def _copy(root: Path) -> Path:
    """The modules, and the one file beside them that they read."""
    module = root / "terraform" / "monitoring"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    shutil.copytree(ROOT / "terraform" / "monitoring", module, ignore=ignored)
    catalogue = Path("backend/app/core/metrics/catalogue.json")
    (root / catalogue).parent.mkdir(parents=True)
    shutil.copy(ROOT / catalogue, root / catalogue)
    return module


def _terraform(folder: Path, *arguments: str, check: bool = True) -> int:
    program = os.environ.get("TERRAFORM", "terraform")
    sys.stdout.write(f"\n{folder.name}: {program} {' '.join(arguments)}\n")
    sys.stdout.flush()
    return subprocess.run([program, f"-chdir={folder}", *arguments], check=check).returncode  # noqa: S603  # fixed words, and a project's id that whoever runs this gives


if __name__ == "__main__":
    sys.exit(main())
