"""`cloudops test`: unit tests for alert policies."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import coloured, fail, pairs, policies_from, seconds

if TYPE_CHECKING:
    from ..emulator.alerttest.run import Outcome

_FAILING = 1
_UNUSABLE = 2
_LOOK_SECONDS = 0.5
# A case that takes longer shows how far it is.
_PATIENCE_SECONDS = 1.0

_Result = tuple[Path, Sequence["Outcome"], str]


def run_tests(
    paths: Annotated[list[Path], typer.Argument(help="Test files, or folders of them.", show_default=False)],
    *,
    policies: Annotated[
        list[str] | None,
        typer.Option(
            help="Policies instead of those that the files name: a file, a folder, a plan of `terraform show -json`, "
            "`emulator` for the one that runs, `projects/ID` for a real project; may be repeated.",
            metavar="FROM",
        ),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(help="A value for the policies' templates; may be repeated.", metavar="NAME=VALUE"),
    ] = None,
    only: Annotated[
        str, typer.Option("--only", "-k", help="Only tests whose name has this text.", metavar="TEXT")
    ] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what each policy saw at each step: values, violations, since when.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(help="Write the results as JUnit XML.", dir_okay=False, metavar="FILE")
    ] = None,
    ingest_delay: Annotated[
        str, typer.Option(help="How much later than written threshold and absence conditions see data.", metavar="TIME")
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Run again whenever a file changes, until Ctrl-C.")
    ] = False,
) -> None:
    """Test alert policies: series and log entries in, incidents and notifications out, a week in seconds.

    Exit code 0: all passed. 1: a test failed. 2: a file cannot be used.

    [bold]Examples[/bold]

    cloudops test alerts/tests

    cloudops test high_error_rate.test.yaml --explain -k burst

    cloudops test tests/ --policies terraform/monitoring --var service=items --var environment=prod --junit out.xml

    terraform show -json plan.tfplan > plan.json && cloudops test tests/ --policies plan.json

    cloudops test tests/ --policies projects/my-project
    """
    from ..emulator.alerttest.errors import ScriptError  # noqa: PLC0415  # the emulator, for this verb only

    variables = pairs(var or [], "NAME=VALUE")
    delay = seconds(ingest_delay) if ingest_delay else 0.0

    def once() -> tuple[int, set[Path]]:
        try:
            files = _files(paths)
        except ScriptError as error:
            sys.stderr.write(f"{error}\n")
            return _UNUSABLE, set(paths)
        watched = set(files) | {Path(one) for one in policies or [] if Path(one).exists()}
        results = [
            _run(file, policies or [], variables, only, delay, explain=explain, watched=watched) for file in files
        ]
        code = _summary(results)
        if junit is not None:
            from ..emulator.alerttest.report import junit as as_junit  # noqa: PLC0415  # this option only

            try:
                junit.write_text(as_junit(results), encoding="utf-8")
            except OSError as error:
                fail(f"{junit} cannot be written: {error.strerror}", _UNUSABLE)
        return code, watched

    if not watch:
        code, _ = once()
        raise typer.Exit(code)
    _watch(once, paths)


def _watch(once: Callable[[], tuple[int, set[Path]]], paths: Sequence[Path]) -> None:
    try:
        while True:
            _, watched = once()
            before = _stamps(watched | set(paths))
            sys.stdout.write("Waiting for a change (Ctrl-C ends) ...\n")
            sys.stdout.flush()
            while _stamps(watched | set(paths)) == before:
                time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return


def _stamps(paths: set[Path]) -> dict[Path, int]:
    """When each file (of folders: all in them) was changed last."""
    found: dict[Path, int] = {}
    for path in paths:
        for file in [path, *(path.rglob("*") if path.is_dir() else ())]:
            try:
                found[file] = file.stat().st_mtime_ns
            except OSError:
                found[file] = 0
    return found


def _files(paths: Sequence[Path]) -> list[Path]:
    """The test files in paths; of a folder those YAML files that hold tests."""
    from ..emulator.alerttest.errors import ScriptError  # noqa: PLC0415  # the emulator, for this verb only
    from ..emulator.alerttest.script import is_script  # noqa: PLC0415  # as above

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [one for one in sorted(path.rglob("*.y*ml")) if one.is_file() and is_script(one)]
            if not inside:
                raise ScriptError(f"{path}: no test files here (YAML with `tests:`)")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise ScriptError(f"{path}: no such file or folder")
    return list(dict.fromkeys(found))


def _run(
    file: Path,
    policies: Sequence[str],
    variables: Mapping[str, Any],
    only: str,
    delay: float,
    *,
    explain: bool,
    watched: set[Path],
) -> _Result:
    from ..emulator.alerttest.errors import ScriptError  # noqa: PLC0415  # the emulator, for this verb only
    from ..emulator.alerttest.run import run_case  # noqa: PLC0415  # as above
    from ..emulator.alerttest.script import read_script  # noqa: PLC0415  # as above

    outcomes: list[Outcome] = []
    sys.stdout.write(f"{file}\n")
    try:
        script = read_script(file, variables)
        watched.update(script.policies)
        known = policies_from(policies or [str(one) for one in script.policies], script.variables)
        for case in script.cases:
            if only not in case.name:
                continue
            progress = _Progress(case.name)
            outcome = run_case(script, case, known, explain=explain, progress=progress.show, ingest_delay=delay)
            progress.clear()
            outcomes.append(outcome)
            _print(outcome)
    except ScriptError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{error}\n")
        return file, outcomes, str(error)
    return file, outcomes, ""


class _Progress:
    """How far a long case is, on a terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = self._last = time.monotonic()
        self._shown = False

    def show(self, done: float) -> None:
        now = time.monotonic()
        if not sys.stdout.isatty() or now - self._began < _PATIENCE_SECONDS or now - self._last < _LOOK_SECONDS:
            return
        self._last, self._shown = now, True
        sys.stdout.write(f"\r  {done:4.0%}  {self._name}"[:100])
        sys.stdout.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stdout.write("\r\x1b[K")


def _print(outcome: "Outcome") -> None:
    colour = coloured(sys.stdout.isatty())
    word = _painted("PASS", "32", colour=colour) if outcome.passed else _painted("FAIL", "31", colour=colour)
    sys.stdout.write(f"  {word}  {outcome.case}  ({outcome.seconds:.2f} s)\n")
    for failure in outcome.failures:
        sys.stdout.write("".join(f"        {line}\n" for line in str(failure).splitlines()))
    if outcome.explanation is not None:
        sys.stdout.write("".join(f"        {line}\n" for line in outcome.explanation.lines()))
    sys.stdout.flush()


def _painted(text: str, code: str, *, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text


def _summary(results: Sequence[_Result]) -> int:
    outcomes = [one for _, several, _ in results for one in several]
    failed = sum(not one.passed for one in outcomes)
    unusable = sum(bool(error) for _, _, error in results)
    parts = [f"{len(outcomes) - failed} passed"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{unusable} {'file' if unusable == 1 else 'files'} not usable"] if unusable else []
    sys.stdout.write(f"{', '.join(parts)} in {sum(one.seconds for one in outcomes):.2f} s\n")
    if not outcomes and not unusable:
        sys.stderr.write("No test was run: no name has that text.\n")
        return _UNUSABLE
    return _UNUSABLE if unusable else _FAILING if failed else 0
