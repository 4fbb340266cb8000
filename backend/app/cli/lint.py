"""`cloudops lint`: what is wrong with policies, dashboards, uptime checks and catalogues, and what they cost."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import coloured, fail, pairs, seconds

if TYPE_CHECKING:
    from ..emulator.lint.linter import Report

_COLOURS = {"error": "31", "warning": "33", "note": "2"}


def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files or folders; the project's own data and catalogue without any.", show_default=False),
    ] = None,
    *,
    var: Annotated[
        list[str] | None,
        typer.Option(help="A value for the templates; may be repeated.", metavar="NAME=VALUE"),
    ] = None,
    catalogue: Annotated[
        list[Path] | None,
        typer.Option(help="A catalogue of your own metrics; may be repeated.", dir_okay=False, metavar="FILE"),
    ] = None,
    runbooks: Annotated[
        Path | None, typer.Option(help="A folder that must hold a runbook NAME.md for each policy.", metavar="FOLDER")
    ] = None,
    scripts: Annotated[
        Path | None, typer.Option(help="A folder that must hold a test NAME.yaml for each policy.", metavar="FOLDER")
    ] = None,
    instances: Annotated[int, typer.Option(help="Instances of the service, for the prices.", min=1)] = 3,
    export_interval: Annotated[
        str, typer.Option(help="How often the service writes its metrics.", metavar="TIME")
    ] = "60s",
    prices: Annotated[bool, typer.Option("--prices", help="Show what each policy costs in a month.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell everything as JSON.")] = False,
) -> None:
    """Check alert policies, dashboards, uptime checks and metric catalogues, and price them.

    Exit code 0: nothing to complain of. 1: an error, or with --strict a warning. 2: it was called wrongly.

    [bold]Examples[/bold]

    cloudops lint

    cloudops lint alerts/ dashboards/ --catalogue metrics.json --strict

    cloudops lint policies/ --prices --instances 10 --json > lint.json
    """
    from ..emulator.definitions import DefinitionError  # noqa: PLC0415  # the emulator, for this verb only
    from ..emulator.lint import linter  # noqa: PLC0415  # as above

    options = linter.Options(
        variables=pairs(var or [], "NAME=VALUE"),
        catalogues=catalogue or [],
        instances=instances,
        export_seconds=seconds(export_interval),
        runbooks=runbooks,
        scripts=scripts,
    )
    try:
        report = linter.lint(paths or [], options)
    except DefinitionError as error:
        fail(str(error), 2)
    if as_json:
        sys.stdout.write(json.dumps(_json(report), indent=2) + "\n")
    else:
        _print(report, prices=prices)
    counts = report.counts()
    raise typer.Exit(1 if counts["error"] or (strict and counts["warning"]) else 0)


def _json(report: "Report") -> dict[str, object]:
    from ..emulator.lint.prices import SOURCE  # noqa: PLC0415  # the emulator, for this verb only

    return {
        "files": report.files,
        "counts": report.counts(),
        "findings": [one.as_json() for one in report.findings],
        "policies": {
            file: {
                "metricReferences": one.references,
                "pointsAMonth": one.points,
                "dollarsAMonth": round(one.dollars, 2),
            }
            for file, one in report.policies.items()
        },
        "metrics": {
            name: {"series": one.series, "samplesAMonth": one.samples, "dollarsAMonth": round(one.dollars, 4)}
            for name, one in report.metrics.items()
        },
        "prices": SOURCE,
    }


def _print(report: "Report", *, prices: bool) -> None:
    colour = coloured(sys.stdout.isatty())
    for one in report.findings:
        text = str(one)
        if colour:
            text = text.replace(f" {one.level}: ", f" \x1b[{_COLOURS[one.level]}m{one.level}\x1b[0m: ", 1)
        sys.stdout.write(f"{text}\n")
    if prices:
        _print_prices(report)
    counts = report.counts()
    words = [f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items() if count]
    files = f"{report.files} file{'' if report.files == 1 else 's'}"
    sys.stdout.write(f"{files}: {', '.join(words) or 'nothing to complain of'}\n")


def _print_prices(report: "Report") -> None:
    from ..emulator.lint.prices import SOURCE  # noqa: PLC0415  # the emulator, for this verb only

    for file, one in report.policies.items():
        sys.stdout.write(
            f"${one.dollars:8.2f} a month  {Path(file).name.partition('.')[0]}: {one.references} metric "
            f"reference{'' if one.references == 1 else 's'}, {one.points:,} points\n"
        )
    for name, metric in sorted(report.metrics.items(), key=lambda item: -item[1].dollars):
        amount = f"up to {metric.series} series, {metric.samples:,} samples"
        sys.stdout.write(f"${metric.dollars:8.2f} a month  {name}, an instance: {amount}\n")
    total = sum(one.dollars for one in report.policies.values())
    if report.policies:
        sys.stdout.write(f"${total:8.2f} a month  all policies; prices: {SOURCE}\n")
