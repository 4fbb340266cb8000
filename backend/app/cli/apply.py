"""`cloudops apply`: policies, dashboards and all else that files describe, into the emulator."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import fail, http_address, pairs, project_id


def apply(
    path: Annotated[Path, typer.Argument(help="A file, or a folder such as terraform/monitoring.", show_default=False)],
    *,
    var: Annotated[
        list[str] | None, typer.Option(help="A value for the templates; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    var_file: Annotated[
        Path | None, typer.Option(help="Values for the templates, as a JSON or YAML object.", dir_okay=False)
    ] = None,
    webhook: Annotated[
        list[str] | None,
        typer.Option(help="A channel for policies that name none; may be repeated.", metavar="NAME=URL"),
    ] = None,
    project: Annotated[str, typer.Option(help="Id of the emulated project.", callback=project_id)] = "demo",
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Create or update what the files describe: all of it, or nothing when one of them is wrong.

    Policies, dashboards, uptime checks, objectives and log-based metrics. Every file is read and checked first; what is
    wrong is told with file, line, field and reason.

    Of this project's own policies the default set is applied: --var policies=all, or policies=default,queue_age.

    [bold]Examples[/bold]

    cloudops apply terraform/monitoring --var service=items --var environment=dev --var host=localhost

    cloudops apply policies/high_error_rate.yaml.tftpl --var-file dev.yaml --webhook demo=http://127.0.0.1:9000/
    """
    if output not in {"table", "json"}:
        raise typer.BadParameter("--format is table or json")
    variables = {**values_from(var_file), **pairs(var or [], "NAME=VALUE")}
    channels = pairs(webhook or [], "NAME=URL")

    import httpx  # noqa: PLC0415  # this verb only

    from ..emulator import definitions  # noqa: PLC0415  # Google's message classes, for this verb only
    from .client import credentials, unreachable  # noqa: PLC0415  # as httpx

    try:
        found = definitions.load(path, {**usual_values(path, project), **variables})
        with httpx.Client(timeout=60, trust_env=False, headers=credentials()) as client:
            applied = definitions.apply(found, http_address(), project, channels=channels, client=client)
    except definitions.DefinitionError as error:
        sys.stderr.write(f"{error}\n")
        fail("Nothing was applied.")
    except httpx.InvalidURL:
        fail(unreachable(http_address()))
    for definition in found:
        for warning in definition.warnings:
            sys.stderr.write(f"warning: {warning}\n")
    if output == "json":
        rows = [
            {"kind": one.kind, "name": one.name, "displayName": one.display_name, "action": one.action}
            for one in applied
        ]
        sys.stdout.write(json.dumps(rows) + "\n")
    else:
        for one in applied:
            sys.stdout.write(f"{one.action:<9} {one.kind:<12} {one.display_name}\n")


def usual_values(path: Path, project: str) -> dict[str, str]:
    """What holds unless it is given: of this project's own policies the default set."""
    from ..emulator.definitions import DEFAULTS  # noqa: PLC0415  # Google's message classes, for verbs that need them

    usual = {"project": project, "runbook_base_url": f"{http_address()}/runbooks"}
    return {**usual, "policies": "default"} if (path / DEFAULTS).is_file() else usual


def values_from(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    import yaml  # noqa: PLC0415  # JSON is YAML too

    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        fail(f"--var-file {file} cannot be read: {' '.join(str(error).split())}")
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        fail(f"--var-file {file} holds no object of names and values.")
    return content
