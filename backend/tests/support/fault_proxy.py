"""A proxy between a service and its back end that fails on demand, in the ways that networks and proxies do."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

Fault = Literal["none", "refuse", "blackhole", "503", "reset after commit", "slow"]
SLOW_SECONDS = 1.0
_HEADERS = 1  # a frame's type (RFC 9113, section 6.2)
_FRAME_HEAD = 9


class FaultProxy:
    """TCP, but for `503`, which speaks HTTP/2, and `reset after commit`, which reads its frames.

    Attributes:
        fault: What happens to all connections from now on; those of another time are reset.
        met: How often the fault was met.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._listener = self._listen(0)
        self._port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"
        self._connections: set[socket.socket] = set()
        self._fault: Fault = "none"
        self._closed = False
        self.met = 0
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @staticmethod
    def _listen(port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), backlog=64)

    @property
    def fault(self) -> Fault:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        before, self._fault = self._fault, fault
        if fault == "refuse":
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.met += 1
        elif before == "refuse":
            self._listener = self._listen(self._port)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        for connection in list(self._connections):
            self._reset(connection)

    def close(self) -> None:
        self._closed = True
        if self._fault != "refuse":
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for connection in list(self._connections):
            self._reset(connection)

    def _reset(self, connection: socket.socket) -> None:
        self._connections.discard(connection)
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            connection.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._connections.add(client)
                threading.Thread(target=self._serve, args=(client, self._fault), daemon=True).start()

    def _serve(self, client: socket.socket, fault: Fault) -> None:
        with suppress(OSError):
            if fault == "blackhole":
                while client.recv(65_536):
                    self.met += 1
            elif fault == "503":
                self._answer_503(client)
            else:
                server = socket.create_connection(self._target)
                self._connections.add(server)
                threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
                self._answers(server, client, fault)
        self._reset(client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        self._reset(sink)

    def _answers(self, server: socket.socket, client: socket.socket, fault: Fault) -> None:
        frames = b""
        while data := server.recv(65_536):
            if fault == "slow":
                self.met += 1
                time.sleep(SLOW_SECONDS)
            if fault == "reset after commit":
                frames += data
                while len(frames) >= _FRAME_HEAD and frames[3] != _HEADERS:
                    length = _FRAME_HEAD + int.from_bytes(frames[:3])
                    if len(frames) < length:
                        break
                    client.sendall(frames[:length])
                    frames = frames[length:]
                if len(frames) >= _FRAME_HEAD and frames[3] == _HEADERS:  # the answer: what was sent is committed
                    self.met += 1
                    self._reset(server)
                    return
                continue
            client.sendall(data)

    def _answer_503(self, client: socket.socket) -> None:
        connection = H2Connection(config=H2Configuration(client_side=False))
        connection.initiate_connection()
        client.sendall(connection.data_to_send())
        while data := client.recv(65_536):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived) and event.stream_id is not None:
                    self.met += 1
                    headers = [(":status", "503"), ("content-type", "text/plain")]
                    connection.send_headers(event.stream_id, headers, end_stream=True)
            client.sendall(connection.data_to_send())


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """A proxy in front of `host:port`."""
    proxy = FaultProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
