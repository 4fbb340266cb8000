from collections.abc import Iterator
from pathlib import Path

import pytest

from support.terraform import Workspace, copy_of_module, environment, provider
from support.tools import tool


@pytest.fixture(scope="session")
def reattach() -> Iterator[str]:
    tool("terraform")
    with provider() as line:
        yield line


@pytest.fixture
def module(tmp_path: Path, reattach: str) -> Workspace:
    """A copy of the module, to be planned as it stands."""
    return initialised(copy_of_module(tmp_path), tmp_path, reattach)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory, reattach: str) -> Workspace:
    """One copy of the module for tests that only plan it."""
    root = tmp_path_factory.mktemp("module")
    return initialised(copy_of_module(root), root, reattach)


def initialised(folder: Path, root: Path, line: str) -> Workspace:
    workspace = Workspace(folder, environment(root / "cli.tfrc", TF_REATTACH_PROVIDERS=line))
    workspace.ok("init", "-no-color", "-input=false")
    return workspace
