"""`cloudops adopt|export|diff|snooze|drill`: what is deployed, in the emulator or in a real project."""

import contextlib
import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .apply import usual_values, values_from
from .options import fail, google_credentials, http_address, pairs, project_id, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..emulator.definitions import Definition
    from ..emulator.operations import Project

_DIFFERENT = 1

ProjectOption = Annotated[str, typer.Option(help="Id of the project.", callback=project_id)]
GoogleOption = Annotated[
    bool, typer.Option("--google", help="The real project, as application default credentials, not the emulator.")
]
Var = Annotated[
    list[str] | None, typer.Option(help="A value for the templates; may be repeated.", metavar="NAME=VALUE")
]
VarFile = Annotated[Path | None, typer.Option(help="Values for the templates, as JSON or YAML.", dir_okay=False)]
Folder = Annotated[Path, typer.Argument(help="A file, or a folder such as terraform/monitoring.", show_default=False)]


def adopt(
    path: Folder,
    *,
    var: Var = None,
    var_file: VarFile = None,
    module: Annotated[str, typer.Option(help="Address of the module in Terraform.")] = "module.monitoring",
    project: ProjectOption = "demo",
    google: GoogleOption = False,
) -> None:
    """Write Terraform's import blocks for what exists already: policies, dashboards, objectives, channels and the rest.

    An object is found by its name for people, an objective by its id too. What no file describes is listed as a
    comment; `cloudops export` writes files of it, and those are adopted from their folder.

    [bold]Examples[/bold]

    cloudops adopt terraform/monitoring --google --project my-project --var-file production.yaml > imports.tf
    """
    from ..emulator.operations.adopt import adopt as find  # noqa: PLC0415  # the emulator, for this verb only
    from ..emulator.operations.adopt import import_blocks  # noqa: PLC0415  # as above

    definitions, owner = _definitions(path, var, var_file, project)
    with _project(project, google=google) as there:
        found = find(there, definitions, module, owner)
    sys.stdout.write(import_blocks(found))
    placed = sum(bool(one.address) for one in found)
    sys.stderr.write(f"{placed} of {len(found)} objects have a place in {module}\n")


def export(
    folder: Annotated[Path, typer.Argument(help="Where the files go.", file_okay=False, show_default=False)],
    *,
    containing: Annotated[str, typer.Option(help="Only objects with this text in their name.")] = "",
    project: ProjectOption = "demo",
    google: GoogleOption = False,
) -> None:
    """Write policies, uptime checks, dashboards, objectives and log-based metrics as plain files.

    The files are what `cloudops apply` and the Terraform module read: without what the server fills in, without
    defaults, and without channels, which routes choose.

    [bold]Examples[/bold]

    cloudops export monitoring/ --google --project my-project
    """
    from ..emulator.operations.export import export as write  # noqa: PLC0415  # the emulator, for this verb only

    with _project(project, google=google) as there:
        done = write(there, folder, containing=containing)
    for one in done:
        sys.stdout.write(f"{one.file}\n")
        if one.lacks:
            sys.stderr.write(f"warning: {one.file}: the Terraform module wants {' and '.join(one.lacks)}\n")


def diff(
    path: Folder,
    *,
    var: Var = None,
    var_file: VarFile = None,
    project: ProjectOption = "demo",
    google: GoogleOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the differences as JSON.")] = False,
) -> None:
    """Compare what is deployed with what the files say. Exit code 1: they differ.

    Of this project's own policies the default set is compared, as apply applies it: --var policies=all.

    [bold]Examples[/bold]

    cloudops diff terraform/monitoring --google --project my-project --var-file production.yaml
    """
    from ..emulator.operations.diff import diff as compare  # noqa: PLC0415  # the emulator, for this verb only

    definitions, owner = _definitions(path, var, var_file, project)
    with _project(project, google=google) as there:
        found = compare(there, definitions, owner)
    if as_json:
        sys.stdout.write(json.dumps([one._asdict() for one in found]) + "\n")
    else:
        for one in found:
            sys.stdout.write(f"{one.what:<8} {one.kind:<12} {one.display_name}\n")
            if one.text:
                sys.stdout.write(f"{one.text}\n")
    if found:
        raise typer.Exit(_DIFFERENT)


def snooze(
    policies: Annotated[
        list[str], typer.Argument(help="Policies: names of their files, or names for people.", show_default=False)
    ],
    *,
    length: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1d.", metavar="TIME")],
    because: Annotated[str, typer.Option(help="Why; everybody sees it.", metavar="TEXT")],
    project: ProjectOption = "demo",
    google: GoogleOption = False,
) -> None:
    """Silence policies from now on: no incident opens, and open ones close. A snooze ends by itself.

    [bold]Examples[/bold]

    cloudops snooze high_error_rate service_down --for 2h --because "database moves" --google --project my-project
    """
    from ..emulator.operations import find_policies  # noqa: PLC0415  # the emulator, for this verb only
    from ..emulator.operations import snooze as silence  # noqa: PLC0415  # as above

    if not because.strip():
        raise typer.BadParameter("--because: write why")
    asked = seconds(length)
    with _project(project, google=google) as there:
        found = find_policies(there, policies)
        made = silence(there, found, asked, because, _now(there, google=google))
    for one in made:
        sys.stdout.write(f"{one.name} until {one.data['interval']['endTime']}\n")
    for policy in found:
        sys.stdout.write(f"  {policy.display_name}\n")


def drill(
    policy: Annotated[str, typer.Argument(help="A policy: the name of its file, or for people.", show_default=False)],
    *,
    wait: Annotated[str, typer.Option(help="How long to wait for the incident.", metavar="TIME")] = "5m",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before somebody is told.")] = False,
    project: ProjectOption = "demo",
    google: GoogleOption = False,
) -> None:
    """Send a test incident the way a real one takes: same channels, same severity, marked DRILL.

    A twin of the policy with a condition that is always met is made, and deleted as soon as its incident is open, also
    after Ctrl-C. Exit code 1: no incident opened in time.

    [bold]Examples[/bold]

    cloudops drill service_down --google --project my-project
    """
    from ..emulator.operations import drill as fire  # noqa: PLC0415  # the emulator, for this verb only
    from ..emulator.operations import find_policies  # noqa: PLC0415  # as above

    with _project(project, google=google) as there:
        (found,) = find_policies(there, [policy])
        channels = found.data.get("notificationChannels", [])
        sys.stderr.write(f"{found.display_name} tells {', '.join(channels) or 'nobody'}\n")
        if google and not yes and not typer.confirm("Send them a test incident?", err=True):
            raise typer.Exit(2)
        done = fire(there, found, wait_seconds=seconds(wait), told=lambda line: sys.stderr.write(f"{line}\n"))
    if not done.incidents:
        fail(f"no incident opened within {wait}")
    for incident in done.incidents:
        sys.stdout.write(f"{incident}\n")


@contextlib.contextmanager
def _project(project: str, *, google: bool) -> "Iterator[Project]":
    from ..emulator.operations import ApiRefusedError, Project  # noqa: PLC0415  # the emulator, for these verbs only
    from .client import credentials  # noqa: PLC0415  # as above

    header = credentials().get("Authorization", "").removeprefix("Bearer ")
    there = (
        Project(project, token=google_credentials())
        if google
        else Project(project, http_address(), token=lambda: header)
    )
    try:
        yield there
    except ApiRefusedError as error:
        fail(str(error))
    finally:
        there.close()


def _definitions(
    path: Path, var: list[str] | None, var_file: Path | None, project: str
) -> "tuple[list[Definition], str]":
    """The files, and `<service>-<environment>` where both are known."""
    from ..emulator import definitions  # noqa: PLC0415  # Google's message classes, for these verbs only

    given: dict[str, Any] = {**usual_values(path, project), **values_from(var_file), **pairs(var or [], "NAME=VALUE")}
    try:
        found = definitions.load(path, given)
    except definitions.DefinitionError as error:
        sys.stderr.write(f"{error}\n")
        fail("Nothing was compared.", 2)
    both = [str(given[name]) for name in ("service", "environment") if given.get(name)]
    return found, "-".join(both) if len(both) > 1 else ""


def _now(there: "Project", *, google: bool) -> dt.datetime:
    """The emulator's clock may be another than ours."""
    if google:
        return dt.datetime.now(dt.UTC)
    nanoseconds = int(there.call("GET", "control/clock")["nanoseconds"])
    return dt.datetime.fromtimestamp(nanoseconds / 1e9, dt.UTC)
