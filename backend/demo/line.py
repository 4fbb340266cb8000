"""The line itself: every program that takes part, started as a user would start it, and ended cleanly."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import httpx

from .traffic import Driver
from .view import ENVIRONMENT, SERVICE, State, View
from .webhook import Receiver

BACKEND = Path(__file__).parents[1]
_CLOUDOPS = Path(sys.executable).with_name("cloudops")
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
EXPORT_SECONDS = 10
EVALUATE_EVERY = "2s"


class DemoError(Exception):
    """Something that takes part did not start; the message says what and where its output is."""


@dataclass
class Line:
    """Emulator, reference service, traffic and webhook; enter it to start them, leave it to end them.

    Args:
        free_ports: Pick any ports instead of the documented ones, so that several lines may run at once.
        tls: Also open the gRPC port with TLS.
    """

    free_ports: bool = False
    tls: bool = False
    addresses: dict[str, str] = field(default_factory=dict)
    service_url: str = ""
    receiver: Receiver = field(default_factory=Receiver)

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        try:
            self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="cloudops-demo-")))
            self._stack.enter_context(self.receiver)
            await self._start_emulator()
            await self._apply()
            await self._start_service()
        except BaseException:
            await self._stack.aclose()
            raise
        self.driver = Driver(self.service_url)
        self.view = View(self.addresses["http"], self.addresses["project"])
        self._stack.push_async_callback(self.view.close)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    async def stop_service(self) -> int:
        """SIGTERM, as Cloud Run sends it; returns when the service has flushed and gone."""
        return await _end(self._service)

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
            "policies": "high_error_rate",  # one symptom, one alert: what the others tell would hide it here
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

    async def _start_service(self) -> None:
        log = self.folder / "service.log"
        arguments = ["run", "--service", SERVICE, "--port", "0" if self.free_ports else "8080"]
        for name, value in {
            "ENVIRONMENT": ENVIRONMENT,
            # The shortest interval that Cloud Monitoring allows: a demo has no patience.
            "METRICS_EXPORT_INTERVAL": str(EXPORT_SECONDS),
            "PYTHONPATH": str(BACKEND),
        }.items():
            arguments += ["--env", f"{name}={value}"]
        port_file = self.folder / "port"
        # The port is told by the environment, as on Cloud Run; written down so that we know it too.
        script = f'echo "$PORT" > {port_file}; exec {sys.executable} -m uvicorn app.main:app --port "$PORT"'
        with log.open("wb") as output:
            self._service = await asyncio.create_subprocess_exec(
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
        self._stack.push_async_callback(_end, self._service)
        async with httpx.AsyncClient() as client:
            for _ in range(round(_START_SECONDS / 0.1)):
                if self._service.returncode is not None:
                    break
                if port_file.exists() and (port := port_file.read_text().strip()):
                    self.service_url = f"http://127.0.0.1:{port}"
                    try:
                        if (await client.get(f"{self.service_url}/health/ready")).is_success:
                            return
                    except httpx.HTTPError:
                        pass
                await asyncio.sleep(0.1)
        raise DemoError(f"The service did not start: {log.read_text().strip()[-2000:]}")

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
