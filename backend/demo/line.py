"""The line itself: every program that takes part, started as a user would start it, and ended cleanly."""

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

import httpx

from .shortened import EVALUATE_EVERY, EXPORT_SECONDS, RATE_LIMITS
from .traffic import Driver
from .view import ENVIRONMENT, SERVICE, State, View
from .webhook import Receiver

BACKEND: Final = Path(__file__).parents[1]
_CLOUDOPS: Final = Path(sys.executable).with_name("cloudops")
_START_SECONDS: Final = 60.0
# `cloudops run` gives its command ten seconds, and then delivers what is left.
_STOP_SECONDS: Final = 30.0
_APP: Final = "app.main:app"
_LEADS: Final = re.compile(r"cloudops run: (http://\S+) leads to PORT")
#: Where everything is found: gRPC, page, the service's own port and the front before it.
PORTS: Final = (8085, 8086, 8080, 8088)
POLICIES: Final = (
    "brute_force_attack",
    "database_connections",
    "ddos_attempt",
    "high_error_rate",
    "performance_degradation",
    "revision_regression",
)


class DemoError(Exception):
    """Something that takes part did not start; the message says what and what to do."""


@dataclass
class Line:
    """Emulator, reference service, traffic and webhook; enter it to start them, leave it to end them.

    Args:
        free_ports: Pick any ports instead of the documented ones, so that several lines may run at once.
        tls: Also open the gRPC port with TLS.
        policies: Which alert policies are applied.
        seed: Of the traffic.
    """

    free_ports: bool = False
    tls: bool = False
    policies: Sequence[str] = POLICIES
    seed: int = 1
    addresses: dict[str, str] = field(default_factory=dict)
    service_url: str = ""
    applied: list[str] = field(default_factory=list)
    shortened: list[str] = field(default_factory=list)
    receiver: Receiver = field(default_factory=Receiver)

    async def __aenter__(self) -> Self:
        if not self.free_ports:
            check_ports()
        self._stack = AsyncExitStack()
        self._services: list[Process] = []
        self._signing_key = secrets.token_urlsafe(32)
        try:
            self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="cloudops-demo-")))
            self._stack.enter_context(self.receiver)
            await self._start_emulator()
            await self._apply()
            self.view = View(self.addresses["http"], self.addresses["project"])
            self._stack.push_async_callback(self.view.close)
            self.shortened = await self.view.read_definitions()
            ports = ("0", "0") if self.free_ports else ("8080", "8088")
            self.service_url = await self._start_service(_APP, f"{SERVICE}-00001-dev", *ports)
        except BaseException:
            await self._stack.aclose()
            raise
        self.driver = Driver(self.service_url, seed=self.seed)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    @property
    def database(self) -> Path:
        """The file that all revisions keep their accounts in."""
        return self.folder / "service.db"

    async def start_revision(self, app: str) -> str:
        """Deploy one more revision beside the others: the address that leads to it."""
        return await self._start_service(app, f"{SERVICE}-{len(self._services) + 1:05}-dev", "0", "0")

    async def stop_revisions(self) -> None:
        """End all revisions but the first, as the platform does."""
        await asyncio.gather(*map(_end, self._services[1:]))

    async def stop_service(self) -> int:
        """SIGTERM to all revisions, as Cloud Run sends it; returns the first's code when all have flushed and gone."""
        codes = await asyncio.gather(*map(_end, self._services))
        return codes[0]

    async def look(self) -> State:
        return await self.view.look()

    async def _start_emulator(self) -> None:
        grpc, http = ("0", "0") if self.free_ports else ("8085", "8086")
        arguments = ["up", "--grpc-port", grpc, "--http-port", http, "--evaluate-every", EVALUATE_EVERY]
        if self.tls:
            arguments += ["--grpc-tls-port", "0"]
        log = self.folder / "emulator.log"
        with log.open("wb") as errors:
            # A session of its own: Ctrl-C is for the demo, which ends the others in their order.
            emulator = await asyncio.create_subprocess_exec(
                _CLOUDOPS, *arguments, stdout=PIPE, stderr=errors, start_new_session=True
            )
        self._stack.push_async_callback(_end, emulator)
        assert emulator.stdout is not None
        ready = b""
        with suppress(TimeoutError):
            ready = await asyncio.wait_for(emulator.stdout.readline(), _START_SECONDS)
        if not ready:
            raise DemoError(f"The emulator did not start: {log.read_text().strip()}")
        self.addresses = json.loads(ready)

    async def _apply(self) -> None:
        values = {
            "service": SERVICE,
            "environment": ENVIRONMENT,
            "location": "us-central1",
            "host": f"{SERVICE}.example.com",
            "policies": ",".join(self.policies),
        }
        variables = [word for name, value in values.items() for word in ("--var", f"{name}={value}")]
        applying = await asyncio.create_subprocess_exec(
            _CLOUDOPS,
            "apply",
            str(BACKEND.parent / "terraform" / "monitoring"),
            *variables,
            "--webhook",
            f"on-call={self.receiver.url}",
            env=self._environment(),
            stdout=PIPE,
            stderr=PIPE,
        )
        output, errors = await applying.communicate()
        if applying.returncode:
            raise DemoError(f"cloudops apply failed: {errors.decode().strip()}")
        self.applied = output.decode().splitlines()

    async def _start_service(self, app: str, revision: str, port: str, listen: str) -> str:
        """Start a revision as Cloud Run would: the address of the front before it."""
        log = self.folder / f"{revision}.log"
        arguments = ["run", "--service", SERVICE, "--revision", revision, "--port", port, "--listen", listen]
        for name, value in {
            "ENVIRONMENT": ENVIRONMENT,
            "METRICS_EXPORT_INTERVAL": str(EXPORT_SECONDS),
            "PYTHONPATH": str(BACKEND),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "AUTH_SIGNING_KEY": self._signing_key,
            "RATE_LIMITS": json.dumps(RATE_LIMITS),
            # The driver writes the client's address as a load balancer does, and the front adds the driver's.
            "TRUSTED_PROXIES": "load_balancer",
        }.items():
            arguments += ["--env", f"{name}={value}"]
        # The port is told by the environment, as on Cloud Run.
        script = f'exec {sys.executable} -m uvicorn {app} --port "$PORT"'
        with log.open("wb") as output:
            service = await asyncio.create_subprocess_exec(
                _CLOUDOPS,
                *arguments,
                "--",
                "sh",
                "-c",
                script,
                env=self._environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._services.append(service)
        self._stack.push_async_callback(_end, service)
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(round(_START_SECONDS / 0.1)):
                if service.returncode is not None:
                    break
                if leads := _LEADS.search(log.read_text(errors="replace")):
                    try:
                        if (await client.get(f"{leads[1]}/health/ready")).is_success:
                            return leads[1]
                    except httpx.HTTPError:
                        pass
                await asyncio.sleep(0.1)
        raise DemoError(f"The service did not start: {log.read_text(errors='replace').strip()[-2000:]}")

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "CLOUDOPS_EMULATOR_HOST": self.addresses["grpc"],
            "CLOUDOPS_EMULATOR_HTTP": self.addresses["http"],
        }


async def _end(process: Process) -> int:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
    return await process.wait()


def check_ports() -> None:
    """Raises DemoError where another program listens on a port that the demo needs."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise DemoError(
                    f"Port {port} is taken: another demo, or another `cloudops up`? See who has it with"
                    f" `ss -ltnp 'sport = :{port}'`, or play on any free ports: make demo FREE_PORTS=1"
                ) from None
