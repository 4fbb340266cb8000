"""The whole emulator: one project, its services, and the ports they answer on."""

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import uvicorn
from google.protobuf.message import DecodeError
from starlette.applications import Starlette
from starlette.types import ASGIApp

from .clock import Clock, make_clock
from .journal import DataDirTaken, JournalError, SqliteJournal, VolatileJournal, open_data_dir
from .parts import Parts
from .project import Context, Switches, with_switches
from .tls import make_certificate
from .transport.grpc_server import make_server
from .transport.guard import LoopbackGuard, TokenGuard, is_loopback
from .transport.rest import rest_route
from .uptime.targets import Place, Targets

_STOP_SECONDS = 1.0
_SWEEP_SECONDS = 30.0

__all__ = ["DataDirTaken", "Emulator", "PortTaken", "ServeOptions", "serve"]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    host: str = "127.0.0.1"
    grpc_port: int = 8085
    http_port: int = 8086
    grpc_tls_port: int | None = None
    project: str = "demo"
    data_dir: Path | None = None
    evaluate_every: float | None = None
    """Seconds between two evaluations of the alert policies; None: as often as the policies ask."""
    clock: str = "real"
    """`real`, `manual` (moved by POST /control/clock/advance) or a speed such as `60x`."""
    token: str | None = None
    """What both wires ask for: `Authorization: Bearer <token>`. None: nothing, which is for loopback only."""
    uptime_targets: Mapping[str, Place] = field(default_factory=dict)
    """Host names of uptime checks, and where they are found on this machine."""
    allow_targets: tuple[str, ...] = ()
    """Hosts and networks beyond this machine that uptime checks may reach."""
    smtp: str = ""
    """`host:port` of the server that e-mail notifications go to."""
    mail_dir: Path | None = None
    """Folder that e-mail notifications are written into."""
    switches: Mapping[str, str] = field(default_factory=dict)
    """Names and values of `Switches`, as text."""
    notify: Mapping[str, str] = field(default_factory=dict)
    """Channel type or address -> URL that notifications go to instead."""


class PortTaken(OSError):  # noqa: N818  # the name says what happened; callers print the message
    """Another program listens on a port that was asked for."""

    def __init__(self, port: int, flag: str) -> None:
        super().__init__(
            errno.EADDRINUSE,
            f"Port {port} is taken. Choose another one with {flag} PORT, or let the system choose: {flag} 0",
        )
        self.port = port
        self.flag = flag

    def __str__(self) -> str:
        return str(self.strerror)


class Emulator:
    """Constructed, it answers calls to its services; started, it listens as well."""

    def __init__(
        self, options: ServeOptions | None = None, *, clock: Clock | None = None, switches: Switches | None = None
    ) -> None:
        self.options = options or ServeOptions()
        self._closing = contextlib.ExitStack()
        data_dir = self.options.data_dir
        self._stored = None if data_dir is None else open_data_dir(data_dir, self._closing)
        self.context = Context(
            project_id=self.options.project,
            clock=clock or make_clock(self.options.clock),
            journal=self._stored or VolatileJournal(),
            switches=_with_delivery(with_switches(switches or Switches(), self.options.switches), self.options),
        )
        self.parts = Parts(
            self.context,
            evaluate_every=self.options.evaluate_every,
            page=lambda: self.addresses.get("http", ""),
            targets=Targets(self.options.uptime_targets, self.options.allow_targets),
        )
        self.addresses: dict[str, str] = {}
        self.tell: Callable[[str], object] = str
        """Hears, at most every half minute, what gave way for want of room."""
        if self._stored is not None:
            try:
                self._restore(self._stored)
            except BaseException:
                self._closing.close()
                raise

    def _restore(self, journal: SqliteJournal) -> None:
        for kind, record in journal.replay():
            try:
                self.parts.restore(kind, record)
            except (KeyError, ValueError, DecodeError, struct.error) as error:
                raise JournalError(
                    f"{journal.path} holds a record of {kind} that cannot be read: {error}."
                    " Move it away to start empty."
                ) from error
        self.parts.settle()

    async def _sweep_now_and_then(self) -> None:
        told = 0
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.parts.sweep()
            kept = self.parts.kept()
            given_way = int(kept["logEntriesGivenWay"]) + int(kept["pointsGivenWay"])
            if given_way > told:
                self.tell(
                    f"cloudops: {kept['logEntriesGivenWay']} log entries and {kept['pointsGivenWay']} points gave way"
                    f" to newer ones so far; {kept['logEntries']} entries and {kept['points']} points are kept.\n"
                )
                told = given_way

    def http_app(self) -> ASGIApp:
        app: ASGIApp = Starlette(routes=[*self.parts.routes, rest_route(self.parts.services, self.parts.faults)])
        if self.options.token is not None:
            app = TokenGuard(app, self.options.token)
        return LoopbackGuard(app) if is_loopback(self.options.host) else app

    async def start(self) -> None:
        """Listen; afterwards `addresses` says where.

        Raises:
            PortTaken: Another program has one of the ports.
        """
        host, options = self.options.host, self.options
        try:
            http = self._closing.enter_context(_listen(host, options.http_port))
            self._http = _HttpServer(
                uvicorn.Config(
                    self.http_app(),
                    log_config=None,
                    access_log=False,
                    lifespan="off",
                    ws="none",
                    timeout_graceful_shutdown=1,
                )
            )
            self._grpc = make_server(self.parts.services, self.parts.faults, token=options.token)
            grpc_port = _bind(self._grpc, host, options.grpc_port, "--grpc-port", None)
            addresses = {
                "project": options.project,
                "grpc": _address(host, grpc_port),
                "http": f"http://{_address(host, http.getsockname()[1])}",
            }
            if options.grpc_tls_port is not None:
                folder = options.data_dir or Path(self._closing.enter_context(tempfile.TemporaryDirectory()))
                certificate = make_certificate(folder)
                credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
                tls_port = _bind(self._grpc, host, options.grpc_tls_port, "--grpc-tls-port", credentials)
                addresses |= {"grpc_tls": _address(host, tls_port), "certificate": str(certificate.path)}
        except BaseException:
            self._closing.close()
            raise
        await self._grpc.start()
        self._serving = asyncio.create_task(self._http.serve(sockets=[http]))
        await self._http.ready.wait()
        self.addresses = addresses
        self._running = [
            asyncio.create_task(run)
            for run in (
                self.parts.alerting.run(),
                self.parts.uptime.prober.run(),
                self.parts.platform.pubsub.messages.run(),
                self._sweep_now_and_then(),
            )
        ]

    async def stop(self) -> None:
        """Finish the calls in flight, for at most a second each wire, and free the ports."""
        for task in self._running:
            task.cancel()
        await asyncio.wait(self._running)
        self._http.should_exit = True
        await asyncio.gather(self._grpc.stop(_STOP_SECONDS), self._serving)
        self._closing.close()


async def serve(options: ServeOptions, ready: Callable[[dict[str, str]], Any]) -> None:
    """Run until SIGINT, SIGTERM or cancellation; `ready` is told the addresses once both wires answer."""
    emulator = Emulator(options)
    emulator.tell = sys.stderr.write
    await emulator.start()
    # What is loaded now stays: the collector need not look at it again, and entries come by the ten thousand.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        ready(emulator.addresses)
        await stopping.wait()
    finally:
        await emulator.stop()


def _with_delivery(switches: Switches, options: ServeOptions) -> Switches:
    if not (options.smtp or options.mail_dir or options.notify):
        return switches
    return replace(
        switches,
        smtp_address=options.smtp or switches.smtp_address,
        mail_folder=str(options.mail_dir) if options.mail_dir else switches.mail_folder,
        notification_urls={**switches.notification_urls, **options.notify},
    )


class _HttpServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to whoever runs the emulator."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    # Connections of a process that just ended must not keep its successor from the port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port, "--http-port") from error
        raise
    return listener


def _bind(server: grpc.aio.Server, host: str, port: int, flag: str, credentials: grpc.ServerCredentials | None) -> int:
    address = _address(host, port)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise PortTaken(port, flag) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
