"""`cloudops up`: the emulator, until Ctrl-C."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import fail, project_id, seconds


def up(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; this machine only, unless told otherwise.")
    ] = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(help="Port for gRPC; 0 picks a free one.", min=0, max=65535)] = 8085,
    http_port: Annotated[int, typer.Option(help="Port for REST and the page; 0: a free one.", min=0, max=65535)] = 8086,
    grpc_tls_port: Annotated[
        int | None,
        typer.Option(
            help="Port for gRPC over TLS, for clients that insist on it (8087 by custom). Off unless given.",
            min=0,
            max=65535,
        ),
    ] = None,
    project: Annotated[str, typer.Option(help="Id of the project it plays.", callback=project_id)] = "demo",
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Keep everything here, also over kill -9. Without it: in memory.", file_okay=False),
    ] = None,
    evaluate_every: Annotated[
        str | None,
        typer.Option(
            help="Evaluate alert policies this often, e.g. 2s, instead of as often as they ask.", metavar="TIME"
        ),
    ] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let --host be an address that other machines reach.")
    ] = False,
) -> None:
    """Start the emulator: Monitoring, Logging, alerts and dashboards, over gRPC and REST, with a page.

    One line of JSON on stdout tells the addresses once it is ready; everything else goes to stderr.

    [bold]Examples[/bold]

    cloudops up

    cloudops up --data-dir .cloudops --evaluate-every 2s

    cloudops up --grpc-port 0 --http-port 0 --project my-project
    """
    every = None if evaluate_every is None else seconds(evaluate_every)
    # gRPC prints a line of its own when a port is taken; ours says what to do.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    from ..emulator.server import PortTaken, ServeOptions, serve  # noqa: PLC0415  # gRPC and numpy only for this verb
    from ..emulator.transport.guard import is_loopback  # noqa: PLC0415  # as above

    if not is_loopback(host):
        if not allow_remote:
            fail(
                f"--host {host} would let other machines in, and the emulator asks nobody who they are."
                " Add --allow-remote if that is what you want.",
                2,
            )
        sys.stderr.write(f"cloudops: warning: everyone who reaches {host} can read and change everything here.\n")
    options = ServeOptions(
        host=host,
        grpc_port=grpc_port,
        http_port=http_port,
        grpc_tls_port=grpc_tls_port,
        project=project,
        data_dir=data_dir,
        evaluate_every=every,
    )

    def ready(addresses: dict[str, str]) -> None:
        told = addresses if evaluate_every is None else {**addresses, "evaluate_every": evaluate_every}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stderr.write(_welcome(addresses, evaluate_every, data_dir))

    try:
        asyncio.run(serve(options, ready))
    except PortTaken as error:
        fail(str(error))
    except OSError as error:
        fail(f"The emulator cannot start: {error.strerror or error}. Check --host {host} and --data-dir {data_dir}.")
    except KeyboardInterrupt:
        # Ctrl-C before the server minds signals itself.
        return


def _welcome(addresses: dict[str, str], evaluate_every: str | None, data_dir: Path | None) -> str:
    lines = [
        f"The emulator plays project {addresses['project']}. Ctrl-C ends it.",
        f"  page     {addresses['http']}",
        f"  service  export CLOUDOPS_EMULATOR_HOST={addresses['grpc']}",
        f"  cloudops export CLOUDOPS_EMULATOR_HTTP={addresses['http']}",
    ]
    if "grpc_tls" in addresses:
        lines.append(
            f"  TLS      {addresses['grpc_tls']}, with GRPC_DEFAULT_SSL_ROOTS_FILE_PATH={addresses['certificate']}"
        )
    if evaluate_every is not None:
        lines.append(f"  alerts   evaluated every {evaluate_every}, whatever the policies say")
    lines.append(f"  data     {'in memory, gone at the end' if data_dir is None else data_dir}")
    return "\n".join(lines) + "\n"
