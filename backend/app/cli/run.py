"""`cloudops run`: a command as Cloud Run would run it."""

import sys
from typing import Annotated

import typer

from .options import coloured, fail, grpc_address, pairs, project_id


def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.", show_default=False)],
    *,
    service: Annotated[str, typer.Option(help="Name of the service; the folder's name unless given.")] = "",
    region: Annotated[str, typer.Option(help="Region it seems to run in.")] = "us-central1",
    port: Annotated[int, typer.Option(help="PORT for the command; 0 picks a free one.", min=0, max=65535)] = 8080,
    project: Annotated[str, typer.Option(help="Id of the emulated project.", callback=project_id)] = "demo",
    revision: Annotated[str, typer.Option(help="Name of the revision; SERVICE-00001-dev unless given.")] = "",
    env: Annotated[list[str] | None, typer.Option(help="A variable for the command.", metavar="NAME=VALUE")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Show the command's lines as they come.")] = False,
) -> None:
    """Run a service as Cloud Run does: its environment, a metadata server, its log agent, SIGTERM and ten seconds.

    What the command prints becomes log entries in the emulator at CLOUDOPS_EMULATOR_HOST; its exit code is ours.

    [bold]Examples[/bold]

    cloudops run --service items -- uvicorn app.main:app --port 8080

    cloudops run --port 0 --env LOG_LEVEL=debug -- sh -c 'exec uvicorn app.main:app --port "$PORT"'
    """
    from ..emulator.run.process import RunError, RunOptions, default_service, service_name  # noqa: PLC0415  # this verb only
    from ..emulator.run.process import run as run_command  # noqa: PLC0415  # as above

    if service and service_name(service) != service:
        raise typer.BadParameter(
            f"'{service}' is no name for a Cloud Run service: lower-case letters, digits and hyphens, a letter first,"
            f" at most 49 characters. '{service_name(service)}' would do.",
            param_hint="--service",
        )
    options = RunOptions(
        command=command,
        service=service or default_service(),
        revision=revision,
        region=region,
        project=project,
        port=port,
        environment=pairs(env or [], "NAME=VALUE"),
        emulator=grpc_address(),
        raw=raw,
        colour=coloured(sys.stdout.isatty()),
    )
    try:
        code = run_command(options)
    except RunError as error:
        fail(str(error), error.exit_code)
    raise typer.Exit(code)
