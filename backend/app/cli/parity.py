"""`cloudops parity`: the same calls to the emulator and to the real API."""

import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import coloured, fail, project_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..emulator.parity.comparison import Compared
    from ..emulator.parity.probe import Probe
    from ..emulator.parity.session import Side
    from ..emulator.parity.wire import Wire

_DIFFERENT = 1


def parity(
    *,
    project: Annotated[str, typer.Option(help="The project to ask; a test project of yours.", metavar="PROJECT")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", "-k", help="Only calls whose name has this text; may be repeated.", metavar="TEXT"),
    ] = None,
    wire: Annotated[str, typer.Option(help="rest, grpc or both.")] = "both",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the calls, make none.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")] = False,
    record: Annotated[
        Path | None,
        typer.Option(help="Keep each real answer as dated JSON in this folder.", file_okay=False, metavar="FOLDER"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the differences as JSON.")] = False,
    endpoint: Annotated[
        str, typer.Option(help="Ask http://HOST:PORT instead of Google, without credentials.", metavar="URL")
    ] = "",
    grpc_endpoint: Annotated[str, typer.Option(help="The same for gRPC, in plain text.", metavar="HOST:PORT")] = "",
) -> None:
    """Ask the emulator and the real API the same, and list where they differ.

    Writes only metrics below custom.googleapis.com/cloudops_parity/ and one log, and takes them away again, also after
    Ctrl-C. Exit code 0: no difference. 1: differences, or something could not be taken away. 2: it cannot run.

    [bold]Examples[/bold]

    cloudops parity --project my-test-project --dry-run

    gcloud auth application-default login && cloudops parity --project my-test-project --record answers/
    """
    from ..emulator.parity.probes import probes  # noqa: PLC0415  # the emulator, for this verb only
    from ..emulator.parity.wire import WIRES  # noqa: PLC0415  # as above

    if wire not in {"both", *WIRES}:
        fail(f"--wire is rest, grpc or both, not {wire}", 2)
    wires: Sequence[Wire] = WIRES if wire == "both" else [one for one in WIRES if one == wire]
    chosen = [one for one in probes() if any(text in one.name for text in only or [""])]
    if not chosen:
        fail(f"no call is called {' or '.join(only or [])}", 2)
    if bool(endpoint) != bool(grpc_endpoint) and wire == "both":
        fail("--endpoint and --grpc-endpoint belong together, or say --wire rest or --wire grpc", 2)
    real = project_id(project)
    if dry_run:
        _list(chosen, real, wires)
        return
    _warn(chosen, real, wires)
    if not yes and not typer.confirm("Go on?", err=True):
        raise typer.Exit(2)
    raise typer.Exit(_run(chosen, wires, _side(real, endpoint, grpc_endpoint), record, as_json=as_json))


def _list(chosen: "Sequence[Probe]", project: str, wires: "Sequence[Wire]") -> None:
    from ..emulator.parity.comparison import plain  # noqa: PLC0415  # the emulator, for this verb only
    from ..emulator.parity.probe import Run  # noqa: PLC0415  # as above
    from ..emulator.parity.wire import method_of, rest_form  # noqa: PLC0415  # as above

    run = Run(project, "RUN", datetime.now(UTC))
    for probe in chosen:
        mark = "writes" if probe.writes else "reads "
        sys.stdout.write(f"{mark}  {probe.name}: {probe.says}\n")
        request = plain(probe.request(run), run)
        if "rest" in wires:
            verb, path, query, body = rest_form(method_of(probe.method), probe.request(run))
            shown = "".join(f" {key}={value}" for key, value in query)
            sys.stdout.write(f"          {verb} {path}{shown}\n")
            del body
        if "grpc" in wires:
            sys.stdout.write(f"          grpc {probe.method}\n")
        sys.stdout.write(f"          {json.dumps(request)[:200]}\n")


def _warn(chosen: "Sequence[Probe]", project: str, wires: "Sequence[Wire]") -> None:
    from ..emulator.parity.session import PERMISSIONS, ROLES  # noqa: PLC0415  # the emulator, for this verb only

    calls = len(chosen) * len(wires)
    writing = sum(one.writes for one in chosen) * len(wires)
    sys.stderr.write(
        f"{calls} calls to {project}, {writing} of which may write: metrics below "
        "custom.googleapis.com/cloudops_parity/, a log cloudops-parity-*.\n"
        "Most are refused. What is written is a few samples and log entries, below every free allotment "
        "(cloud.google.com/products/observability/pricing), and is deleted at the end.\n"
        f"Permissions: {', '.join(PERMISSIONS)} (in {' and '.join(ROLES)}).\n"
    )


def _side(project: str, endpoint: str, grpc_endpoint: str) -> "Side":
    from ..emulator.parity.session import Side, google_token  # noqa: PLC0415  # the emulator, for this verb only

    if endpoint or grpc_endpoint:
        return Side(project, rest=endpoint, grpc_address=grpc_endpoint)
    from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415  # only for the real API

    try:
        return Side(project, token=google_token())
    except DefaultCredentialsError:
        fail("there are no credentials: run `gcloud auth application-default login`", 2)


def _run(
    chosen: "Sequence[Probe]", wires: "Sequence[Wire]", real: "Side", record: Path | None, *, as_json: bool
) -> int:
    import grpc  # noqa: PLC0415  # the emulator, for this verb only
    import httpx  # noqa: PLC0415  # as above

    from ..emulator.parity.session import Session, keep, own_emulator  # noqa: PLC0415  # as above

    # A CI system that gives up sends SIGTERM: then, too, everything is taken away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found: list[Compared] = []
    stopped = ""
    with own_emulator("demo") as emulator:
        session = Session(emulator, real, wires)
        try:
            with session:
                for one in session.run(chosen):
                    found.append(one)
                    if record is not None:
                        keep(record, one, session.began)
                    if not as_json:
                        _show(one)
        except KeyboardInterrupt:
            stopped = "stopped"
        except (httpx.HTTPError, grpc.RpcError) as error:
            stopped = f"the API cannot be reached: {error}"
    real.close()
    differences = [difference for one in found for difference in one.differences]
    if as_json:
        told: dict[str, Any] = {
            "calls": len(found),
            "differences": [one._asdict() for one in differences],
            "notTakenAway": session.left,
            "stopped": stopped,
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        noun = "difference" if len(differences) == 1 else "differences"
        sys.stdout.write(f"{len(found)} calls, {len(differences)} {noun}\n")
    for what in session.left:
        sys.stderr.write(f"cloudops: could not be taken away: {what}\n")
    if stopped:
        sys.stderr.write(
            f"cloudops: {stopped}; what was written has been taken away\n"
            if not session.left
            else f"cloudops: {stopped}\n"
        )
    return _DIFFERENT if differences or session.left or stopped else 0


def _show(one: "Compared") -> None:
    colour = coloured(sys.stdout.isatty())
    word = "differs" if one.differences else "same   "
    if colour:
        word = f"\x1b[{31 if one.differences else 32}m{word}\x1b[0m"
    sys.stdout.write(f"  {word}  {one.wire:<4}  {one.probe.name}  {one.api.code}\n")
    for difference in one.differences:
        sys.stdout.write(f"           {difference.what}\n")
        sys.stdout.write(f"             emulator  {difference.emulator[:300]}\n")
        sys.stdout.write(f"             API       {difference.api[:300]}\n")
    sys.stdout.flush()
