"""`cloudops up`: the emulator, until Ctrl-C."""

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from .options import FRONT_PORT, fail, pairs, project_id, seconds
from .shipped import HOST, check_names

_SHORTEST_TOKEN = 16


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
    service: Annotated[
        str,
        typer.Option(
            envvar="SERVICE_NAME",
            help="Watch this service from the start: load the default policies, dashboards, objectives and the uptime "
            "check that come with the library.",
            metavar="NAME",
        ),
    ] = "",
    environment: Annotated[
        str, typer.Option(envvar="ENVIRONMENT", help="The environment that --service runs in.", metavar="NAME")
    ] = "development",
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
    clock: Annotated[
        str, typer.Option(help="real, manual (POST /control/clock/advance moves it), or a speed: 60x.", metavar="CLOCK")
    ] = "real",
    uptime_target: Annotated[
        list[str] | None,
        typer.Option(
            help="Where uptime checks find a host on this machine, with http:// before the address: without TLS, which "
            "a front end would end; may be repeated.",
            metavar="HOST=ADDRESS:PORT",
        ),
    ] = None,
    allow_targets: Annotated[
        list[str] | None,
        typer.Option(
            help="A host, pattern or network beyond this machine that uptime checks may call; may be repeated.",
            metavar="HOST",
        ),
    ] = None,
    smtp: Annotated[
        str, typer.Option(help="Send e-mail notifications to this SMTP server on this machine.", metavar="HOST:PORT")
    ] = "",
    mail_dir: Annotated[
        Path | None, typer.Option(help="Write e-mail notifications here, as .eml files.", file_okay=False)
    ] = None,
    notify: Annotated[
        list[str] | None,
        typer.Option(
            help="Send the notifications of a channel type (slack, pagerduty, sms, google_chat, pubsub, email) or "
            "address to a URL on this machine; may be repeated.",
            metavar="TYPE=URL",
        ),
    ] = None,
    switch: Annotated[
        list[str] | None,
        typer.Option(
            help="Behaviour that the cloud leaves open or a test wants otherwise, e.g. metric_validation=false; may be "
            "repeated. A wrong name lists them all.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    allow_remote: Annotated[
        bool,
        typer.Option("--allow-remote", help="Let --host be an address that other machines reach; needs --token."),
    ] = False,
    token: Annotated[
        str,
        typer.Option(
            envvar="CLOUDOPS_TOKEN", help="Ask every caller for it: Authorization: Bearer TOKEN, or /?token=TOKEN once."
        ),
    ] = "",
) -> None:
    """Start the emulator: Monitoring, Logging, alerts and dashboards, over gRPC and REST, with a page.

    One line of JSON on stdout tells the addresses once it is ready; everything else goes to stderr.

    [bold]Examples[/bold]

    cloudops up

    cloudops up --service shop --evaluate-every 2s

    cloudops up --data-dir .cloudops

    cloudops up --grpc-port 0 --http-port 0 --project my-project

    cloudops up --uptime-target shop.example.com=127.0.0.1:8000 --mail-dir mail
    """
    every = None if evaluate_every is None else seconds(evaluate_every)
    # gRPC prints a line of its own when a port is taken; ours says what to do.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    from ..emulator.clock import make_clock  # noqa: PLC0415  # as below
    from ..emulator.journal import DataDirTaken, JournalError  # noqa: PLC0415  # as below
    from ..emulator.project import Switches, with_switches  # noqa: PLC0415  # as below
    from ..emulator.server import PortTaken, ServeOptions, serve  # noqa: PLC0415  # gRPC and numpy only for this verb
    from ..emulator.transport.guard import is_loopback  # noqa: PLC0415  # as above
    from ..emulator.uptime.targets import Place, parse_place  # noqa: PLC0415  # as above

    if not is_loopback(host):
        if not allow_remote:
            fail(
                f"--host {host} would let other machines in."
                " Add --allow-remote and --token (or CLOUDOPS_TOKEN) if that is what you want.",
                2,
            )
        if len(token) < _SHORTEST_TOKEN:
            fail(
                f"--allow-remote needs a token of at least {_SHORTEST_TOKEN} characters: --token or CLOUDOPS_TOKEN,"
                " for example of: openssl rand -hex 16",
                2,
            )
        sys.stderr.write(f"cloudops: warning: everyone who knows the token and reaches {host} can change everything.\n")
    try:
        make_clock(clock)
        switches = pairs(switch or [], "NAME=VALUE")
        with_switches(Switches(), switches)
        if service:
            check_names(service, environment)
        # The shipped check asks for https://localhost: it finds the front of `cloudops run` there.
        targets = {HOST: Place("127.0.0.1", FRONT_PORT, plain=True)} if service else {}
        targets |= dict(parse_place(one) for one in uptime_target or [])
    except ValueError as error:
        fail(str(error), 2)
    options = ServeOptions(
        host=host,
        grpc_port=grpc_port,
        http_port=http_port,
        grpc_tls_port=grpc_tls_port,
        project=project,
        data_dir=data_dir,
        evaluate_every=every,
        clock=clock,
        token=token or None,
        uptime_targets=targets,
        allow_targets=tuple(allow_targets or ()),
        switches=switches,
        smtp=_host_port(smtp, "--smtp"),
        mail_dir=mail_dir,
        notify=pairs(notify or [], "TYPE=URL"),
    )

    def tell(addresses: dict[str, str]) -> None:
        watched = _watch(service, environment, addresses, token) if service else ""
        _tell(addresses, evaluate_every, data_dir, watched)

    def ready(addresses: dict[str, str]) -> None:
        # In a thread, since it may call the emulator that this loop serves.
        threading.Thread(target=tell, args=(addresses,), daemon=True).start()

    try:
        asyncio.run(serve(options, ready))
    except PortTaken as error:
        fail(str(error))
    except (DataDirTaken, JournalError) as error:
        fail(error.strerror or str(error))
    except OSError as error:
        fail(f"The emulator cannot start: {error.strerror or error}. Check --host {host} and --data-dir {data_dir}.")
    except KeyboardInterrupt:
        # Ctrl-C before the server minds signals itself.
        return


def _tell(addresses: dict[str, str], evaluate_every: str | None, data_dir: Path | None, watched: str) -> None:
    told = addresses if evaluate_every is None else {**addresses, "evaluate_every": evaluate_every}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    sys.stderr.write(_welcome(addresses, evaluate_every, data_dir) + watched)


def _watch(service: str, environment: str, addresses: dict[str, str], token: str) -> str:
    """Load what is shipped; what came of it, for people."""
    from .shipped import apply_shipped  # noqa: PLC0415  # it needs the emulator's modules

    try:
        applied = apply_shipped(service, environment, addresses["http"], addresses["project"], token)
    except Exception as error:  # noqa: BLE001  # the emulator serves all the same
        return f"cloudops: {service} is not watched: {error}\n"
    return f"  watches  {service} in {environment}: {applied}\n"


def _host_port(text: str, flag: str) -> str:
    host, colon, port = text.rpartition(":")
    if text and not (host and colon and port.isdecimal()):
        fail(f"'{text}' is not of the form HOST:PORT ({flag})", 2)
    return text


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
