"""`cloudops simulate`: an ordinary week and every accident, against all alert policies."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import coloured, fail, pairs, policies_from

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..emulator.simulate.judge import Verdict

_SHOW_SECONDS = 0.2


def simulate(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Policies: files, folders, a plan, `emulator`, `projects/ID`; the project's own without any.",
            metavar="[FROM]...",
            show_default=False,
        ),
    ] = None,
    *,
    days: Annotated[float, typer.Option(help="How long the ordinary time is.", min=0.05)] = 7.0,
    seed: Annotated[int, typer.Option(help="Another seed, another week.")] = 1,
    world: Annotated[
        Path | None,
        typer.Option(help="What your service writes, instead of the built-in service.", dir_okay=False, metavar="FILE"),
    ] = None,
    chaos: Annotated[
        Path | None,
        typer.Option(help="What can happen, instead of the built-in catalogue.", dir_okay=False, metavar="FILE"),
    ] = None,
    only: Annotated[
        str, typer.Option("--only", "-k", help="Only cases whose name has this text (the week is `week`).")
    ] = "",
    page: Annotated[
        list[str] | None, typer.Option(help="A value of userLabels.priority that pages; may be repeated.")
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(help="A value for the policies' templates; may be repeated.", metavar="NAME=VALUE"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail when a policy that a case expects is not among those loaded.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell everything as JSON.")] = False,
) -> None:
    """Play a week of ordinary traffic, then every accident, against all policies: what fires, when, how often.

    Exit code 0: the week was silent, every accident was detected, with one page a symptom. 1: not so. 2: it cannot run.

    [bold]Examples[/bold]

    cloudops simulate

    cloudops simulate alerts/ --world service.yaml --chaos accidents.yaml --seed 7

    cloudops simulate -k outage --json
    """
    from ..emulator.alerttest.errors import ScriptError  # noqa: PLC0415  # the emulator, for this verb only
    from ..emulator.simulate import simulation  # noqa: PLC0415  # as above
    from ..emulator.simulate.judge import PAGES  # noqa: PLC0415  # as above
    from ..emulator.simulate.world import CHAOS, SERVICE, read_cases, read_world  # noqa: PLC0415  # as above

    variables = pairs(var or [], "NAME=VALUE")
    verdicts: list[Verdict] = []
    try:
        service, cases = read_world(world or SERVICE), read_cases(chaos or CHAOS)
        policies = policies_from(paths or [], variables)
        options = simulation.Options(days, seed, tuple(page or PAGES), variables)
        progress = _Progress()
        if only in "week":
            verdicts.append(simulation.run_week(service, policies, options, progress.of("week")))
            _tell(verdicts[-1], as_json=as_json, progress=progress)
        for case in cases:
            if only in case.name:
                verdicts.append(simulation.run_case(service, case, policies, options, progress.of(case.name)))
                _tell(verdicts[-1], as_json=as_json, progress=progress)
    except ScriptError as error:
        fail(str(error), 2)
    if not verdicts:
        fail(f"no case is called {only}", 2)
    failed = [one for one in verdicts if not one.passed or (strict and one.unknown)]
    if as_json:
        told = {"policies": [one.key for one in policies], "seed": seed, "cases": [one.as_json() for one in verdicts]}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        _summary(verdicts, failed, len(policies))
    raise typer.Exit(1 if failed else 0)


class _Progress:
    """What is being played, on a terminal."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._shown = False

    def of(self, name: str) -> "Callable[[float, str], None]":
        def show(done: float, policy: str) -> None:
            now = time.monotonic()
            if sys.stderr.isatty() and now - self._last >= _SHOW_SECONDS:
                self._last, self._shown = now, True
                sys.stderr.write(f"\r\x1b[K  {done:4.0%}  {name}: {policy}"[:100])
                sys.stderr.flush()

        return show

    def clear(self) -> None:
        if self._shown:
            self._shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _tell(verdict: "Verdict", *, as_json: bool, progress: _Progress) -> None:
    from ..emulator.simulate.judge import signed  # noqa: PLC0415  # the emulator, for this verb only

    progress.clear()
    if as_json:
        return
    colour = coloured(sys.stdout.isatty())
    word = "ok  " if verdict.passed else "FAIL"
    if colour:
        word = f"\x1b[{32 if verdict.passed else 31}m{word}\x1b[0m"
    sys.stdout.write(f"  {word}  {verdict.name}: {verdict.says}  ({verdict.seconds:.2f} s)\n")
    for one in verdict.fired:
        times = f"after {signed(one.detected_after)}"
        if verdict.name == "week":
            times = f"at {signed(one.detected_after)}"
        else:
            times += f", {_recovered(one.recovered_after)}"
        shown = "page" if one.page else "told"
        labels = ", ".join(f"{key}={value}" for key, value in sorted(one.labels.items()))
        more = f", {one.opened} incidents" if one.opened > 1 else ""
        sys.stdout.write(f"          {shown}  {one.policy} {times}{more}{f'  {{{labels}}}' if labels else ''}\n")
    for problem in verdict.problems():
        sys.stdout.write(f"          !     {problem}\n")
    for name in verdict.unknown:
        sys.stdout.write(f"          -     {name}: not among the policies\n")
    sys.stdout.flush()


def _summary(verdicts: "Sequence[Verdict]", failed: "Sequence[Verdict]", policies: int) -> None:
    seconds = sum(one.seconds for one in verdicts)
    noun = "policy" if policies == 1 else "policies"
    cases = "case" if len(verdicts) == 1 else "cases"
    sys.stdout.write(
        f"{policies} {noun}, {len(verdicts)} {cases}: {len(verdicts) - len(failed)} as expected"
        f"{f', {len(failed)} not' if failed else ''} in {seconds:.2f} s\n"
    )


def _recovered(seconds: float | None) -> str:
    from ..emulator.simulate.judge import signed  # noqa: PLC0415  # the emulator, for this verb only

    if seconds is None:
        return "still open at the end"
    return f"recovered {signed(abs(seconds))} {'after it' if seconds >= 0 else 'before its end'}"
