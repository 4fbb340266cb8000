import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.emulator import RunningEmulator, running_emulator
from support.terraform import (
    PROGRAM,
    VERSION,
    Workspace,
    copy_of_module,
    initialised,
    provider,
    provider_block,
)
from support.tools import tool

# Makes a workspace of HCL beside a copy of the modules, against an emulator, with the provider in some version.
LiveWorkspace = Callable[..., Workspace]


@pytest.fixture(scope="session")
def provider_at() -> Iterator[Callable[[str], str]]:
    """The stand-in in the version asked for, started once; what TF_REATTACH_PROVIDERS needs."""
    tool(PROGRAM)
    lines: dict[str, str] = {}
    with contextlib.ExitStack() as running:

        def at(version: str) -> str:
            if version not in lines:
                lines[version] = running.enter_context(provider(version))
            return lines[version]

        yield at


@pytest.fixture(scope="session")
def reattach(provider_at: Callable[[str], str]) -> str:
    return provider_at(VERSION)


@pytest.fixture
def module(tmp_path: Path, reattach: str) -> Workspace:
    """A copy of the module, to be planned as it stands."""
    return initialised(copy_of_module(tmp_path), tmp_path, reattach)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory, reattach: str) -> Workspace:
    """One copy of the module for tests that only plan it."""
    root = tmp_path_factory.mktemp("module")
    return initialised(copy_of_module(root), root, reattach)


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


@pytest.fixture
def live_in(tmp_path: Path, emulator: RunningEmulator, provider_at: Callable[[str], str]) -> LiveWorkspace:
    """`live_in(HCL, version)`: a root module `live/` beside `terraform/`, whose provider calls the emulator."""

    def make(hcl: str, version: str = VERSION) -> Workspace:
        copy_of_module(tmp_path)
        folder = tmp_path / "live"
        folder.mkdir()
        (folder / "main.tf").write_text(provider_block(emulator.http) + hcl)
        return initialised(folder, tmp_path, provider_at(version))

    return make
