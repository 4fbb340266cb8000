"""One request on its way through the front, to the instance and back."""

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass
from typing import Any

import h11

from .exchange import Exchange
from .gate import Gate, NoInstance
from .trace_context import trace_context

_PIECE = 65_536
_CONNECT_SECONDS = 10.0
HEAD_BYTES = 65_536
# Meant for one connection only (RFC 9110, 7.6.1); Transfer-Encoding is h11's to write.
_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"}
_REPLACED = {b"traceparent", b"x-cloud-trace-context", b"x-forwarded-for", b"x-forwarded-proto", b"forwarded"}

# The sentences of docs.cloud.google.com/run/docs/troubleshooting.
_NONE_AVAILABLE = "The request was aborted because there was no available instance."
_MALFORMED = (
    "The request failed because either the HTTP response was malformed or connection to the instance had an error."
)
_TOO_LATE = "The request has been terminated because it has reached the maximum request timeout."


@dataclass(frozen=True, slots=True)
class Limits:
    request_seconds: float = 300.0
    """docs.cloud.google.com/run/docs/configuring/request-timeout"""
    request_bytes: int = 32 * 2**20
    """docs.cloud.google.com/run/quotas: HTTP/1 requests to a container that speaks HTTP/1."""


class _InstanceFailed(Exception):  # noqa: N818  # what it says
    """The instance did not answer in HTTP."""


class Forwarding:
    def __init__(  # noqa: PLR0917  # made in one place
        self,
        client: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: h11.Request,
        limits: Limits,
        gate: Gate,
        *,
        sample: bool,
    ) -> None:
        self._client, self._reader, self._writer = client, reader, writer
        self._request = request
        self._limits = limits
        self._gate = gate
        self._began = time.time_ns()
        self._clock = time.perf_counter_ns()
        self._headers = dict(request.headers)
        self.trace = trace_context(self._header(b"traceparent"), self._header(b"x-cloud-trace-context"), sample=sample)
        self.over = False
        """Whether the connection can take no further request."""
        self._status = 0
        self._problem = ""
        self._instance_id = ""
        self._request_bytes = self._response_bytes = 0
        self._answered = False

    async def run(self) -> None:
        try:
            length = int(self._header(b"content-length") or 0)
            if length > self._limits.request_bytes:
                await self._answer(413, "Request Entity Too Large", "")
                return
            async with asyncio.timeout(self._limits.request_seconds):
                await self._through_the_gate()
        except TimeoutError:
            await self._answer(504, "upstream request timeout", _TOO_LATE)
        except NoInstance:
            await self._answer(429, "Rate exceeded.", _NONE_AVAILABLE)
        except _InstanceFailed:
            await self._answer(503, "Service Unavailable", _MALFORMED)
        except (OSError, h11.ProtocolError):
            # The client is gone: what the platform logs then is not published, 499 is our choice.
            self.over = True
            self._status = self._status or 499

    def exchange(self) -> Exchange:
        peer = self._writer.get_extra_info("peername") or ("", 0)
        server = self._writer.get_extra_info("sockname") or ("", 0)
        host = self._header(b"host") or f"{server[0]}:{server[1]}"
        return Exchange(
            method=self._request.method.decode("ascii"),
            url=f"http://{host}{self._request.target.decode('ascii', 'replace')}",
            status=self._status,
            began=self._began,
            latency=time.perf_counter_ns() - self._clock,
            request_bytes=self._request_bytes,
            response_bytes=self._response_bytes,
            remote_ip=str(peer[0]),
            server_ip=str(server[0]),
            user_agent=self._header(b"user-agent"),
            referer=self._header(b"referer"),
            protocol=f"HTTP/{self._request.http_version.decode('ascii')}",
            trace=self.trace.trace,
            span=self.trace.span,
            sampled=self.trace.sampled,
            instance_id=self._instance_id,
            problem=self._problem,
        )

    async def _through_the_gate(self) -> None:
        async with self._gate.place() as instance:
            self._instance_id = instance.instance_id
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection("127.0.0.1", instance.port)
            except (OSError, TimeoutError):
                raise _InstanceFailed from None
            at_once(writer)
            try:
                await self._exchange(reader, writer)
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        request = h11.Request(
            method=self._request.method, target=self._request.target, headers=self._forwarded_headers()
        )
        try:
            writer.write(server.send(request) or b"")
        except h11.LocalProtocolError:
            raise _InstanceFailed from None
        sending = asyncio.ensure_future(self._send_body(server, writer))
        receiving = asyncio.ensure_future(self._receive(server, reader))
        try:
            while not receiving.done():
                await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
                if sending.done() and not receiving.done():
                    # Raises when the client went away; then nobody waits for an answer.
                    sending.result()
                    sending = asyncio.ensure_future(asyncio.sleep(self._limits.request_seconds + 1))
            switched = receiving.result()
            if switched is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                await self._tunnel(switched, reader, writer)
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
        if self._client.their_state is not h11.DONE:
            self.over = True  # the instance answered before it had the whole request

    async def _send_body(self, server: h11.Connection, writer: asyncio.StreamWriter) -> None:
        """Client to instance, and then on until the client goes away.

        Raises:
            ConnectionResetError: The client is gone.
        """
        try:
            while (event := await self._next_of_client()) is not None:
                if isinstance(event, h11.Data):
                    self._request_bytes += len(event.data)
                data = server.send(event)
                if data:
                    with contextlib.suppress(OSError):  # it has stopped reading: its answer is what counts
                        writer.write(data)
                        await writer.drain()
        except h11.RemoteProtocolError as error:
            raise ConnectionResetError from error
        while len(self._client.trailing_data[0]) < _PIECE:
            data = await self._reader.read(_PIECE)
            if not data:
                raise ConnectionResetError
            self._client.receive_data(data)
        # A client that sends so much ahead is not asked again before its answer is out.
        await asyncio.sleep(self._limits.request_seconds + 1)

    async def _next_of_client(self) -> h11.Data | h11.EndOfMessage | None:
        """The next piece of the request's body; None after its end."""
        while True:
            if self._client.their_state is not h11.SEND_BODY:
                return None
            event = self._client.next_event()
            if event is h11.NEED_DATA:
                data = await self._reader.read(_PIECE)
                if not data:
                    raise ConnectionResetError
                self._client.receive_data(data)
            elif isinstance(event, h11.Data | h11.EndOfMessage):
                return event
            else:
                return None

    async def _receive(self, server: h11.Connection, reader: asyncio.StreamReader) -> bytes | None:
        """Instance to client; what follows an upgrade, or None."""
        while True:
            event = await self._next_of_instance(server, reader)
            if isinstance(event, h11.InformationalResponse):
                headers = _kept(event.headers, upgrade=event.status_code == 101)  # noqa: PLR2004  # Switching Protocols
                data = self._client.send(
                    h11.InformationalResponse(status_code=event.status_code, headers=headers, reason=event.reason)
                )
                await self._write(data)
                if event.status_code == 101:  # noqa: PLR2004  # as above
                    self._status, self._answered, self.over = 101, True, True
                    return server.trailing_data[0]
            elif isinstance(event, h11.Response):
                self._status, self._answered = event.status_code, True
                headers = [
                    (name, value) for name, value in _kept(event.headers) if name.lower() != b"transfer-encoding"
                ]
                head = h11.Response(status_code=event.status_code, headers=headers, reason=event.reason)
                await self._write(self._client.send(head))
            elif isinstance(event, h11.Data):
                self._response_bytes += len(event.data)
                await self._write(self._client.send(event))
            else:
                await self._write(self._client.send(h11.EndOfMessage(headers=event.headers)))
                return None

    async def _next_of_instance(
        self, server: h11.Connection, reader: asyncio.StreamReader
    ) -> h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage:
        try:
            while (event := server.next_event()) is h11.NEED_DATA or event is h11.PAUSED:
                server.receive_data(await reader.read(_PIECE))
        except (OSError, h11.RemoteProtocolError) as error:
            raise _InstanceFailed from error
        if isinstance(event, h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage):
            return event
        raise _InstanceFailed

    async def _tunnel(self, begin: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bytes both ways, until one side ends."""
        writer.write(self._client.trailing_data[0])
        self._writer.write(begin)
        self._response_bytes += len(begin)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, *, back: bool) -> None:
            while data := await source.read(_PIECE):
                if back:
                    self._response_bytes += len(data)
                else:
                    self._request_bytes += len(data)
                target.write(data)
                await target.drain()

        pumps = {
            asyncio.ensure_future(pump(self._reader, writer, back=False)),
            asyncio.ensure_future(pump(reader, self._writer, back=True)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in pumps:
                each.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _answer(self, status: int, text: str, problem: str) -> None:
        """An answer of the front itself; when another one has begun, the connection ends instead."""
        self._problem = problem
        self.over = True
        if self._answered:
            transport = self._writer.transport
            transport.abort()
            return
        self._status = status
        body = text.encode()
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("Connection", "close")]
        self._response_bytes = 0 if self._request.method == b"HEAD" else len(body)
        events: list[h11.Event] = [h11.Response(status_code=status, headers=headers)]
        events += [h11.Data(data=body)] if self._response_bytes else []
        with contextlib.suppress(OSError, h11.LocalProtocolError):
            await self._write(b"".join(self._client.send(event) or b"" for event in [*events, h11.EndOfMessage()]))

    async def _write(self, data: bytes | None) -> None:
        if data:
            self._writer.write(data)
            await self._writer.drain()

    def _header(self, name: bytes) -> str:
        return self._headers.get(name, b"").decode("latin-1")

    def _forwarded_headers(self) -> list[tuple[bytes, bytes]]:
        """What Google's front end adds; the scheme is the one the client really used, which is http here."""
        peer = self._writer.get_extra_info("peername") or ("", 0)
        before = [value for name, value in self._request.headers if name == b"x-forwarded-for"]
        upgrade = b"upgrade" in self._headers and b"upgrade" in self._headers.get(b"connection", b"").lower()
        headers = [
            (name, value)
            for name, value in _kept(self._request.headers, upgrade=upgrade)
            if name.lower() not in _REPLACED
            # Of the two ways to say where a body ends, the one that h11 went by.
            and not (name.lower() == b"content-length" and b"transfer-encoding" in self._headers)
        ]
        return [
            *headers,
            (b"X-Forwarded-For", b", ".join([*before, str(peer[0]).encode()])),
            (b"X-Forwarded-Proto", b"http"),
            (b"Forwarded", f'for="{peer[0]}";proto=http'.encode()),
            *self.trace.headers,
        ]


def at_once(writer: asyncio.StreamWriter) -> None:
    """Small pieces go out as they come; asyncio itself sees to that only for some ways to open a socket."""
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _kept(headers: Any, *, upgrade: bool = False) -> list[tuple[bytes, bytes]]:
    """The headers that pass on to the next connection, spelt as they came."""
    named = {part.strip().lower() for name, value in headers if name == b"connection" for part in value.split(b",")}
    dropped = (_HOP | named) - ({b"connection", b"upgrade"} if upgrade else set())
    return [(name, value) for name, value in headers.raw_items() if name.lower() not in dropped]
