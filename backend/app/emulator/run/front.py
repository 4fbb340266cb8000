"""Google's front end before one instance: it forwards requests, bounds them, and tells of each.

HTTP/1.1 on both sides, read and written by h11, so that a message that could be read in two ways is refused and not
passed on. What follows an upgrade (websockets) passes as bytes. One connection to the instance per request: workers of
any server share them, and none can be stale.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import h11

from .exchange import Exchange
from .forward import HEAD_BYTES, Forwarding, Limits, at_once
from .gate import Gate

_ADDRESS = "127.0.0.1"
_HEAD_SECONDS = 60.0
# docs.cloud.google.com/trace/docs/trace-context: Cloud Run samples no more than one request in ten seconds.
_SAMPLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class FrontOptions:
    limits: Limits
    concurrency: int = 80
    """docs.cloud.google.com/run/docs/about-concurrency: 80 by default when made with gcloud for one CPU."""


class Front:
    """A thread that answers on a port of this machine until it is closed."""

    def __init__(self, listen: int, options: FrontOptions, tell: Callable[[Exchange], None]) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        self._listener = socket.create_server((_ADDRESS, listen), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://{_ADDRESS}:{self.port}"
        self.gate = Gate(options.concurrency)
        self._limits = options.limits
        self._tell = tell
        self._next_sample = 0.0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._work, name="cloudops-front", daemon=True)
        self._thread.start()

    def open(self, port: int, instance_id: str) -> None:
        """Requests go to this port from now on."""
        self._loop.call_soon_threadsafe(self.gate.open, port, instance_id)

    def shut(self, *, for_good: bool = False) -> None:
        """The instance takes no more requests: they wait for the next one, or are refused when it is for good."""
        self._loop.call_soon_threadsafe(partial(self.gate.shut, for_good=for_good))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, sock=self._listener))
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
            self._loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        at_once(writer)
        try:
            await self._requests(reader, writer)
        except (OSError, h11.ProtocolError):
            return  # the client is gone, or speaks no HTTP any more
        except asyncio.CancelledError:
            return  # the front closes
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        while True:
            try:
                request = await _head(client, reader)
            except h11.RemoteProtocolError as error:
                writer.write(_refusal(client, error))
                await writer.drain()
                return
            if request is None:
                return
            now = time.monotonic()
            sample = now >= self._next_sample
            forwarding = Forwarding(client, reader, writer, request, self._limits, self.gate, sample=sample)
            if sample and forwarding.trace.sampled:
                self._next_sample = now + _SAMPLE_SECONDS
            try:
                await forwarding.run()
            finally:
                self._tell(forwarding.exchange())
            if forwarding.over or client.our_state is not h11.DONE or client.their_state is not h11.DONE:
                return
            client.start_next_cycle()


async def _head(client: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The next request; None when the client has closed."""
    while True:
        event = client.next_event()
        if isinstance(event, h11.Request):
            return event
        if isinstance(event, h11.ConnectionClosed):
            return None
        async with asyncio.timeout(_HEAD_SECONDS):
            client.receive_data(await reader.read(65_536))


def _refusal(client: h11.Connection, error: h11.RemoteProtocolError) -> bytes:
    if client.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
        return b""
    body = b"Bad Request\n"
    headers = [("Content-Length", str(len(body))), ("Content-Type", "text/plain"), ("Connection", "close")]
    told = client.send(h11.Response(status_code=error.error_status_hint, headers=headers)) or b""
    return told + (client.send(h11.Data(data=body)) or b"") + (client.send(h11.EndOfMessage()) or b"")
