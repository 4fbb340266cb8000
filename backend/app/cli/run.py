"""`cloudops run`: a command as Cloud Run would run it."""

import os
import sys
from typing import Annotated

import typer

from .options import FRONT_PORT, coloured, fail, grpc_address, pairs, project_id, seconds


def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.", show_default=False)],
    *,
    service: Annotated[str, typer.Option(help="Name of the service; the folder's name unless given.")] = "",
    region: Annotated[str, typer.Option(help="Region it seems to run in.")] = "us-central1",
    port: Annotated[int, typer.Option(help="PORT for the command; 0 picks a free one.", min=0, max=65535)] = 8080,
    listen: Annotated[
        int | None,
        typer.Option(
            help="Port of the front that forwards requests to PORT: 8088, or a free one beside --port 0.",
            min=0,
            max=65535,
            show_default=False,
        ),
    ] = None,
    front: Annotated[
        bool, typer.Option("--front/--no-front", help="No front, for commands that serve no requests.")
    ] = True,
    project: Annotated[str, typer.Option(help="Id of the emulated project.", callback=project_id)] = "demo",
    revision: Annotated[str, typer.Option(help="Name of the revision; SERVICE-00001-dev unless given.")] = "",
    env: Annotated[list[str] | None, typer.Option(help="A variable for the command.", metavar="NAME=VALUE")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Start the command again whenever it ends.")] = False,
    concurrency: Annotated[int, typer.Option(help="Requests at the command at once.", min=1, max=1000)] = 80,
    timeout: Annotated[str, typer.Option(help="The longest a request may take.", metavar="TIME")] = "300s",
    startup_timeout: Annotated[
        str, typer.Option(help="The longest until the command listens on PORT.", metavar="TIME")
    ] = "240s",
    cpu_throttling: Annotated[
        bool, typer.Option("--cpu-throttling", help="Stop the command while it has no request.")
    ] = False,
    cpu: Annotated[float, typer.Option(help="CPUs it has, for its utilization.", min=0.08, max=8)] = 1.0,
    memory: Annotated[int, typer.Option(help="MiB it has, for its utilization.", min=128, max=32768)] = 512,
    raw: Annotated[bool, typer.Option("--raw", help="Show the command's lines as they come.")] = False,
) -> None:
    """Run a service as Cloud Run does: its environment, a metadata server, its log agent, SIGTERM and ten seconds.

    What the command prints becomes log entries in the emulator at CLOUDOPS_EMULATOR_HOST; its exit code is ours.
    Requests go through the front at http://127.0.0.1:8088, which writes the request log and Cloud Run's metrics.

    [bold]Examples[/bold]

    cloudops run --service items -- uvicorn app.main:app --port 8080

    cloudops run --port 0 --env LOG_LEVEL=debug -- sh -c 'exec uvicorn app.main:app --port "$PORT"'
    """
    from ..emulator.run.process import RunError, RunOptions, default_service, service_name  # noqa: PLC0415  # this verb only
    from ..emulator.run.process import run as run_command  # noqa: PLC0415  # as above
    from ..emulator.run.served import Serving  # noqa: PLC0415  # as above

    if service and service_name(service) != service:
        raise typer.BadParameter(
            f"'{service}' is no name for a Cloud Run service: lower-case letters, digits and hyphens, a letter first,"
            f" at most 49 characters. '{service_name(service)}' would do.",
            param_hint="--service",
        )
    if listen and listen == port:
        raise typer.BadParameter(f"{listen} is the --port of the command already", param_hint="--listen")
    serving = Serving(
        listen=(FRONT_PORT if port else 0) if listen is None else listen,
        concurrency=concurrency,
        request_seconds=seconds(timeout),
        startup_seconds=seconds(startup_timeout),
        cpu_throttling=cpu_throttling,
        cpus=cpu,
        memory_bytes=memory * 2**20,
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
        token=os.environ.get("CLOUDOPS_TOKEN", ""),
        raw=raw,
        colour=coloured(sys.stdout.isatty()),
        restart=restart,
        serving=serving if front else None,
    )
    try:
        code = run_command(options)
    except RunError as error:
        fail(str(error), error.exit_code)
    raise typer.Exit(code)
