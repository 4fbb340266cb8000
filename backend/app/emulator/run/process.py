"""One instance of a service as Cloud Run runs it: environment, signals, exit code.

The contract is docs.cloud.google.com/run/docs/container-contract.
"""

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..project import Context
from .lines import LineQueue
from .metadata import Instance, MetadataServer
from .reader import Echo, Reader
from .served import PortTaken, Service, Serving
from .stopper import Stopper

if TYPE_CHECKING:
    from .shipper import Shipper

# Cloud Run sends SIGTERM and takes the instance away after 10 seconds.
GRACE_SECONDS = 10.0
_DELIVERY_SECONDS = 5.0
_ECHO_SECONDS = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_STEADY_SECONDS = 60.0  # who lived so long begins anew with short pauses
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as a shell says it

# Set on a laptop, never on Cloud Run: with them a service would not behave as it does there.
_LAPTOP_ONLY = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS")


class RunError(Exception):
    """The command could not be started; the message names the next step."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class RunOptions:
    command: Sequence[str]
    service: str
    revision: str = ""
    region: str = "us-central1"
    project: str = "demo"
    port: int = 8080
    environment: Mapping[str, str] = field(default_factory=dict)
    emulator: str = "127.0.0.1:8085"
    token: str = ""
    raw: bool = False
    colour: bool = False
    grace_seconds: float = GRACE_SECONDS
    restart: bool = False
    """Start the command again whenever it ends by itself."""
    serving: Serving | None = None
    """With a front that forwards requests and writes what the platform writes; None: the command alone."""


def run(options: RunOptions) -> int:
    """Run a command to its end; its exit code, 128 + n when signal n ended it.

    Raises:
        RunError: A port is taken, or the command cannot be started.
    """
    port = free_port(options.port)
    with contextlib.ExitStack() as closing:
        service = None
        if options.serving is not None:
            service = _service(options.serving, options.project)
            closing.callback(lambda: sys.stderr.write(service.close()))
        stopper = closing.enter_context(Stopper(options.grace_seconds))
        if service is not None:
            stopper.before_stop.append(service.stopping)
            stopper.at_end.append(service.ended)
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            code = _instance(options, port, stopper, service)
            if stopper.asked or not options.restart:
                return code
            pause = _FIRST_PAUSE if time.monotonic() - began > _STEADY_SECONDS else pause
            sys.stderr.write(f"cloudops run: the command ended with {code}; it starts again in {pause:g} s\n")
            if not stopper.pause(pause):
                return code
            pause = min(2 * pause, _LONGEST_PAUSE)


def _service(serving: Serving, project: str) -> Service:
    try:
        return Service(serving, project)
    except PortTaken:
        raise RunError(
            f"Port {serving.listen} is taken. Choose another one with --listen PORT, or let the system choose:"
            " --listen 0"
        ) from None


def _instance(options: RunOptions, port: int, stopper: Stopper, service: Service | None) -> int:
    """One instance from its start to its end."""
    instance = Instance(options.project, Context().project_number, options.region, "00" + secrets.token_hex(48))
    metadata = MetadataServer(instance)
    try:
        child = _start(options, {**metadata.environment(), "PORT": str(port)})
        stopper.child = child
        return _follow(options, child, instance, stopper, service, port)
    finally:
        metadata.close()


def free_port(port: int) -> int:
    """The port, or a free one for 0.

    Raises:
        RunError: Another program listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  # only a look; where the command listens is its own choice
        except OSError:
            raise RunError(
                f"Port {port} is taken. Choose another one with --port PORT, or let the system choose: --port 0"
            ) from None
        return int(probe.getsockname()[1])


def service_name(text: str) -> str:
    """A name that Cloud Run takes: lower-case letters, digits and hyphens, a letter first, at most 49."""
    name = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
    return (name if name[:1].isalpha() else f"s-{name}".rstrip("-"))[:49].rstrip("-")


def environment_of(options: RunOptions, extra: Mapping[str, str]) -> dict[str, str]:
    """What the command sees: our own environment without the laptop's credentials, and what Cloud Run sets."""
    return {
        **{name: value for name, value in os.environ.items() if name not in _LAPTOP_ONLY},
        "CLOUDOPS_EMULATOR_HOST": options.emulator,
        "K_SERVICE": options.service,
        "K_REVISION": _revision(options),
        "K_CONFIGURATION": options.service,
        **extra,
        **options.environment,
    }


def _revision(options: RunOptions) -> str:
    return options.revision or f"{options.service}-00001-dev"


def _start(options: RunOptions, extra: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603  # to run the command is what the user asked for
            options.command,
            env=environment_of(options, extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # a Ctrl-C is ours to pass on, as SIGTERM
            bufsize=0,
        )
    except FileNotFoundError as error:
        missing = error.filename or options.command[0]
        raise RunError(f"{missing}: no such command or file. Is its environment active?", _NOT_FOUND) from None
    except OSError as error:
        raise RunError(f"{options.command[0]} cannot be started: {error.strerror}.", _NOT_EXECUTABLE) from None


def _follow(  # noqa: PLR0917  # called once
    options: RunOptions,
    child: subprocess.Popen[bytes],
    instance: Instance,
    stopper: Stopper,
    service: Service | None,
    port: int,
) -> int:
    assert child.stdout is not None
    assert child.stderr is not None
    to_ship, to_show = LineQueue(), LineQueue(lines=5_000, size=8 * 2**20)
    reader = Reader(child.stdout, child.stderr, [to_ship, to_show])
    echo = Echo(to_show, raw=options.raw, colour=options.colour)
    if service is not None:
        service.begin(child, port, instance.instance_id)

    # gRPC and protobuf take half a second to load: meanwhile the command is starting too.
    from .agent import Source  # noqa: PLC0415  # see above
    from .shipper import Shipper  # noqa: PLC0415  # see above

    source = Source(
        project=options.project,
        service=options.service,
        revision=_revision(options),
        region=options.region,
        instance_id=instance.instance_id,
        run_id=f"{time.time_ns():x}",
    )
    shipper = Shipper(to_ship, source, options.emulator, options.token)
    if service is not None:
        service.connect(source, options.emulator, options.token)
    exit_code = stopper.wait()
    reader.finish()
    echo.finish(_ECHO_SECONDS)
    shipper.finish(_DELIVERY_SECONDS)
    sys.stderr.write(_summary(options, reader, shipper, to_ship.dropped + shipper.refused))
    return exit_code


def _summary(options: RunOptions, reader: Reader, shipper: "Shipper", dropped: int) -> str:
    text = f"cloudops run: {reader.lines} lines read, {shipper.written} entries written, {dropped} dropped"
    if reader.truncated:
        text += f", {reader.truncated} cut at 256 KiB"
    if dropped and shipper.problem:
        text += f"\nLast answer of the emulator at {options.emulator}: {shipper.problem}"
        if not shipper.written:
            text += (
                "\nStart one with: cloudops up (another address: CLOUDOPS_EMULATOR_HOST, another project: --project)"
            )
    return text + "\n"


def default_service() -> str:
    """As `gcloud run deploy` proposes it: the name of the folder."""
    return service_name(Path.cwd().name) or "service"
