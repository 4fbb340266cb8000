"""A running emulator for tests: real ports on this machine, in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from grpc import Channel, insecure_channel

from app.emulator.clock import Clock
from app.emulator.project import Switches
from app.emulator.server import Emulator, ServeOptions

Answer = TypeVar("Answer")
_LIMIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    emulator: Emulator
    loop: asyncio.AbstractEventLoop

    @property
    def grpc(self) -> str:
        return self.emulator.addresses["grpc"]

    @property
    def http(self) -> str:
        return self.emulator.addresses["http"]

    @property
    def project(self) -> str:
        return f"projects/{self.emulator.context.project_id}"

    def call(self, function: Callable[[], Answer]) -> Answer:
        """Run a function in the emulator's own thread, where its state may be touched."""

        async def inside() -> Answer:
            return function()

        return asyncio.run_coroutine_threadsafe(inside(), self.loop).result(_LIMIT_SECONDS)

    @contextlib.contextmanager
    def channel(self) -> Iterator[Channel]:
        """A plaintext channel for Google's clients, e.g. `MetricServiceGrpcTransport(channel=...)`."""
        with insecure_channel(self.grpc) as channel:
            yield channel


@contextlib.contextmanager
def running_emulator(
    *, clock: Clock | None = None, switches: Switches | None = None, **options: Any
) -> Iterator[RunningEmulator]:
    """An emulator on free ports; options are those of `ServeOptions`."""
    emulator = Emulator(ServeOptions(**{"grpc_port": 0, "http_port": 0, **options}), clock=clock, switches=switches)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="emulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(emulator.start(), loop).result(_LIMIT_SECONDS)
        try:
            yield RunningEmulator(emulator, loop)
        finally:
            asyncio.run_coroutine_threadsafe(emulator.stop(), loop).result(_LIMIT_SECONDS)
    finally:
        # In its own thread: the test may be running a loop in this one.
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(_LIMIT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_LIMIT_SECONDS)
        loop.close()
