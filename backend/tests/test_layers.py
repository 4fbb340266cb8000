"""Who may know whom: every import of every file, and the line that crosses a border."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BACKEND = Path(__file__).parents[1]
APP = BACKEND / "app"

# part -> what it must not import. `cli` may import everything; nothing imports it.
FORBIDDEN = {
    "core": {"api", "emulator", "cli", "main", "middleware"},
    "emulator": {"core", "api", "cli", "main", "middleware"},
    "api": {"emulator", "cli", "main"},
    "middleware": {"api", "emulator", "cli", "main"},
    "doctor": {"api", "cli", "core", "emulator", "main"},
    "main": {"emulator", "cli"},
    "cli": {"main"},
}


def _imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, part of `app`) for each import of our own code in a file."""
    package = file.relative_to(APP).parts[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            for module in modules:
                yield node.lineno, ([*base, *module.split(".")] or [""])[0]
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in names:
                if name.split(".")[0] in {"app", "fastapi_cloudops"}:
                    yield node.lineno, "absolute"


def _part(file: Path) -> str:
    return file.relative_to(APP).parts[0].removesuffix(".py")


@pytest.mark.parametrize("part", sorted(FORBIDDEN))
def test_no_import_crosses_a_border(part):
    crossings = [
        f"{file.relative_to(BACKEND)}:{line} imports {imported}"
        for file in sorted(APP.rglob("*.py"))
        if _part(file) == part
        for line, imported in _imports(file)
        if imported in FORBIDDEN[part]
    ]
    assert crossings == []


def test_inside_of_the_package_every_import_is_relative():
    absolute = [
        f"{file.relative_to(BACKEND)}:{line}"
        for file in sorted(APP.rglob("*.py"))
        for line, imported in _imports(file)
        if imported == "absolute"
    ]
    assert absolute == [], "the same files ship under another name: use relative imports"


def _loaded_after(code: str) -> set[str]:
    report = "import sys; print(*sorted(sys.modules))"
    command = [sys.executable, "-c", f"{code}\n{report}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(BACKEND)})
    return set(answer.stdout.split())


def test_importing_the_library_loads_no_client_no_sdk_and_no_thread():
    loaded = _loaded_after("import app.core, threading; assert threading.active_count() == 1")
    heavy = ("grpc", "google.cloud", "google.auth", "opentelemetry.sdk", "numpy", "app.emulator", "http.client.HTTP")
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_the_emulator_runs_without_a_module_of_the_library():
    loaded = _loaded_after(
        "import asyncio\n"
        "from app.emulator.server import Emulator, ServeOptions\n"
        "async def main():\n"
        "    emulator = Emulator(ServeOptions(grpc_port=0, http_port=0))\n"
        "    await emulator.start()\n"
        "    await emulator.stop()\n"
        "asyncio.run(main())"
    )
    assert [name for name in loaded if name.startswith(("app.core", "app.api", "app.cli"))] == []


def test_the_package_itself_loads_nothing():
    assert [name for name in _loaded_after("import app") if name.startswith("app.")] == []
