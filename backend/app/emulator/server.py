"""The whole emulator: one project, its services, and the ports they answer on."""

import asyncio
import contextlib
import errno
import fcntl
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from .clock import Clock, SystemClock
from .journal import MemoryJournal, SqliteJournal
from .parts import Parts
from .project import Context, Switches
from .tls import make_certificate
from .transport.grpc_server import make_server
from .transport.guard import LoopbackGuard, is_loopback
from .transport.rest import rest_route

_STOP_SECONDS = 1.0


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


class DataDirTaken(OSError):  # noqa: N818  # as PortTaken
    """Another emulator writes to the data directory."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(errno.EBUSY, f"Another emulator uses the data directory {data_dir}")


class Emulator:
    """Constructed, it answers calls to its services; started, it listens as well."""

    def __init__(
        self, options: ServeOptions | None = None, *, clock: Clock | None = None, switches: Switches | None = None
    ) -> None:
        self.options = options or ServeOptions()
        self._closing = contextlib.ExitStack()
        data_dir = self.options.data_dir
        self._stored = None if data_dir is None else self._open(data_dir)
        self.context = Context(
            project_id=self.options.project,
            clock=clock or SystemClock(),
            journal=self._stored or MemoryJournal(),
            switches=switches or Switches(),
        )
        self.parts = Parts(
            self.context,
            evaluate_every=self.options.evaluate_every,
            page=lambda: self.addresses.get("http", ""),
        )
        self.addresses: dict[str, str] = {}
        for kind, record in () if self._stored is None else self._stored.replay():
            self.parts.restore(kind, record)

    def _open(self, data_dir: Path) -> SqliteJournal:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = self._closing.enter_context((data_dir / "lock").open("w"))
        try:
            # The system lets go of it when the process dies, however it dies.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._closing.close()
            raise DataDirTaken(data_dir) from error
        journal = SqliteJournal(data_dir / "journal.sqlite")
        self._closing.callback(journal.close)
        return journal

    def http_app(self) -> ASGIApp:
        app: ASGIApp = Starlette(routes=[*self.parts.routes, rest_route(self.parts.services, self.parts.faults)])
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
            self._grpc = make_server(self.parts.services, self.parts.faults)
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
        self._alerting = asyncio.create_task(self.parts.alerting.run())

    async def stop(self) -> None:
        """Finish the calls in flight, for at most a second each wire, and free the ports."""
        self._alerting.cancel()
        await asyncio.wait([self._alerting])
        self._http.should_exit = True
        await asyncio.gather(self._grpc.stop(_STOP_SECONDS), self._serving)
        self._closing.close()


async def serve(options: ServeOptions, ready: Callable[[dict[str, str]], Any]) -> None:
    """Run until SIGINT, SIGTERM or cancellation; `ready` is told the addresses once both wires answer."""
    emulator = Emulator(options)
    await emulator.start()
    try:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        ready(emulator.addresses)
        await stopping.wait()
    finally:
        await emulator.stop()


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
