"""The tests of the request layer against other versions of FastAPI and of Python, native telemetry off and on.

    python backend/tools/compatibility.py                                  # every version that is promised
    python backend/tools/compatibility.py --fastapi 0.142.0 --python 3.13
    python backend/tools/compatibility.py --fastapi newest --telemetry on -- -k disconnect -x

Each version has an environment of its own beneath the cache folder; uv makes it, and keeps it for the next run.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NEWEST: Final = "newest"
#: The oldest that is promised; routes as a tree; the last without and the first with telemetry of its own.
FASTAPI: Final = ("0.136.3", "0.137.0", "0.141.1", "0.142.0", NEWEST)
TESTS: Final = ("backend/tests/core", "backend/tests/contract/requests")
#: The first starts processes of its own; the others know no web framework, and the gate runs them on every Python.
LEFT_OUT: Final = tuple(
    f"backend/tests/core/{name}"
    for name in ("test_lifecycle.py", "redaction", "metrics", "logging/test_spill.py", "logging/stdout")
)
#: Of the development tools, those that no test of these loads.
NOT_NEEDED: Final = re.compile(
    r"^(asgi-correlation-id|build|grpcio-tools|mypy|prometheus-.*|ruff|sqlglot|structlog-gcp|types-.*|uv|wheel|zizmor)$"
)
#: A pinned version would decide what is to be found out.
UNPINNED: Final = frozenset({"fastapi", "starlette"})
_NAME: Final = re.compile(r"^[A-Za-z0-9._-]+")
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)( ; [^\\]+)?")
_COUNTS: Final = re.compile(r"(\d+) (passed|failed|skipped|error|errors|xfailed|xpassed)")


@dataclass
class Run:
    """One line of the table."""

    asked: str
    python: str
    telemetry: str
    fastapi: str = ""
    starlette: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    #: Why there is no result.
    broken: str = ""

    @property
    def passed(self) -> bool:
        bad = sum(self.counts.get(word, 0) for word in ("failed", "error", "errors", "xpassed"))
        return not self.broken and not bad and self.counts.get("passed", 0) > 0


def requirements() -> list[str]:
    """What the library and its tests need, read from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    tools = [line for line in groups["dev"] if not NOT_NEEDED.match(_name(line))]
    return [*project["project"]["dependencies"], *extras, *groups["service"], *tools]


def _name(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match is not None, requirement
    return match.group().lower()


def constraints() -> list[str]:
    """The versions that the gate runs with, but for those under test."""
    lines = []
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        pin = _PIN.match(line)
        if pin is not None and pin.group(1).lower() not in UNPINNED:
            lines.append(f"{pin.group(1)}=={pin.group(2)}{(pin.group(3) or '').rstrip()}")
    return lines


def prepare(fastapi: str, python: str, cache: Path) -> Path:
    """An environment with this version; its Python.

    Raises:
        subprocess.CalledProcessError: It cannot be installed.
    """
    folder = cache / f"py{python}-fastapi{fastapi}"
    interpreter = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    if not interpreter.exists():
        _call([*uv, "venv", "--quiet", "--python", python, str(folder)])
    wanted = [*requirements(), "fastapi" if fastapi == NEWEST else f"fastapi=={fastapi}"]
    install = [*uv, "pip", "install", "--quiet", "--python", str(interpreter)]
    if fastapi == NEWEST:
        # What a user would get today, all of it: no pins.
        _call([*install, "--upgrade", *wanted])
    else:
        pins = folder / "constraints.txt"
        pins.write_text("\n".join(constraints()) + "\n")
        _call([*install, "--constraint", str(pins), *wanted])
    return interpreter


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)  # noqa: S603  # our own arguments


def test(run: Run, interpreter: Path, more: Iterable[str]) -> None:
    """Run the tests, and fill in what became of them."""
    plugin = ["-p", "support.native_telemetry"] if run.telemetry == "on" else []
    left_out = [f"--ignore={path}" for path in LEFT_OUT]
    command = [str(interpreter), "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="compatibility-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL refuses to run as root; as somebody else it has to get in
        done = subprocess.run(  # noqa: S603  # our own arguments
            [*command, *plugin, *left_out, *TESTS, *more],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT / "backend"), str(ROOT / "backend" / "tests")]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "COLUMNS": "240",  # the reason of a failure stands at the end of its line
                "TMPDIR": folder,
            },
            capture_output=True,
            text=True,
            check=False,
        )
    run.seconds = monotonic() - began
    lines = done.stdout.splitlines()
    run.counts = {word: int(number) for number, word in _COUNTS.findall(lines[-1] if lines else "")}
    run.failures = [line for line in lines if line.startswith(("FAILED backend", "ERROR backend"))]
    if not run.counts:
        run.broken = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]


def versions(run: Run, interpreter: Path) -> None:
    script = "import fastapi, starlette; print(fastapi.__version__, starlette.__version__)"
    done = subprocess.run([str(interpreter), "-c", script], check=True, capture_output=True, text=True)  # noqa: S603  # ours
    run.fastapi, run.starlette = done.stdout.split()


def table(runs: Iterable[Run]) -> str:
    head = ["fastapi", "starlette", "python", "native telemetry", "passed", "failed", "skipped", "seconds", ""]
    rows = [head, ["---"] * len(head)]
    for run in runs:
        counts = run.counts
        failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
        numbers = [str(counts.get("passed", 0)), str(failed), str(counts.get("skipped", 0)), f"{run.seconds:.0f}"]
        name = f"{run.fastapi or run.asked}{' (newest)' if run.asked == NEWEST else ''}"
        verdict = "ok" if run.passed else run.broken or "FAILED"
        rows.append([name, run.starlette, run.python, run.telemetry, *numbers, verdict])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> int:
    """0 when every combination passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fastapi", nargs="+", default=FASTAPI, metavar="VERSION", help="default: %(default)s")
    parser.add_argument(
        "--python", nargs="+", default=[f"{sys.version_info[0]}.{sys.version_info[1]}"], metavar="VERSION"
    )
    parser.add_argument(
        "--telemetry", choices=["off", "on", "both"], default="both", help="global OpenTelemetry providers"
    )
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "fastapi-cloudops-compatibility")
    parser.add_argument("--fresh", action="store_true", help="make the environments anew")
    parser.add_argument("more", nargs="*", help="arguments for pytest, after --")
    given = parser.parse_args()
    if given.fresh:
        shutil.rmtree(given.cache, ignore_errors=True)
    runs = []
    for python in given.python:
        for fastapi in given.fastapi:
            for telemetry in ["off", "on"] if given.telemetry == "both" else [given.telemetry]:
                run = Run(fastapi, python, telemetry)
                runs.append(run)
                _try(run, given.cache, given.more)
                print(
                    f"{fastapi} on Python {python}, native telemetry {telemetry}: {'ok' if run.passed else 'FAILED'}",
                    flush=True,
                )
                for line in run.failures:
                    print(f"  {line}", flush=True)
    print("\n" + table(runs))
    return 0 if all(run.passed for run in runs) else 1


def _try(run: Run, cache: Path, more: Iterable[str]) -> None:
    try:
        interpreter = prepare(run.asked, run.python, cache)
        versions(run, interpreter)
    except subprocess.CalledProcessError as error:
        run.broken = "not installed: " + (str(error.stderr).strip().splitlines() or ["?"])[-1]
        return
    test(run, interpreter, more)


if __name__ == "__main__":
    sys.exit(main())
