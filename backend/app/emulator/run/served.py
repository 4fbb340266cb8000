"""The platform around the instances of one service: front, startup probe, throttling, request log, metrics."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exchange import Exchange
from .forward import Limits
from .front import Front, FrontOptions
from .lines import Line, LineQueue
from .revision_metrics import RevisionMetrics

if TYPE_CHECKING:
    from .agent import Source
    from .platform import MetricsWriter
    from .shipper import Shipper

# Apart from the numbers of the command's own lines, which make insertIds too.
_FIRST_NUMBER = 1 << 46
_PROBE_SECONDS = 0.05
_DELIVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Serving:
    """Options of the front and of what the platform does with an instance; the defaults are Cloud Run's."""

    listen: int = 0
    concurrency: int = 80
    request_seconds: float = 300.0
    # The default startup probe: TCP, 240 seconds (docs.cloud.google.com/run/docs/configuring/healthchecks).
    startup_seconds: float = 240.0
    cpu_throttling: bool = False
    # docs.cloud.google.com/run/docs/configuring: one CPU and 512 MiB unless asked otherwise.
    cpus: float = 1.0
    memory_bytes: int = 512 * 2**20
    metrics_seconds: float = 60.0


class PortTaken(Exception):  # noqa: N818  # what it says
    """The front's port is taken."""


class Service:
    """Everything about a service that outlives its instances."""

    def __init__(self, serving: Serving, project: str) -> None:
        self._serving = serving
        self._project = project
        self._queue = LineQueue()
        self._number = _FIRST_NUMBER
        self._shipper: Shipper | None = None
        self._writer: MetricsWriter | None = None
        self.metrics = RevisionMetrics(cpus=serving.cpus, memory_bytes=serving.memory_bytes)
        options = FrontOptions(Limits(serving.request_seconds), serving.concurrency)
        try:
            self.front = Front(serving.listen, options, self._tell)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken(str(serving.listen)) from None
        self._throttle: Throttle | None = None
        self._start: Start | None = None
        self._group = 0
        self.front.gate.watch.append(self._in_flight)

    @property
    def requests(self) -> int:
        return self._number - _FIRST_NUMBER

    def begin(self, child: subprocess.Popen[bytes], port: int, instance_id: str) -> None:
        """An instance was started."""
        self.metrics.starting(time.time_ns())
        if self._writer is not None:
            self._writer.group = child.pid
        self._group = child.pid
        self._start = Start(self, self._serving.startup_seconds, child, port, instance_id)

    def ready(self, child: subprocess.Popen[bytes], port: int, instance_id: str, seconds: float) -> None:
        """The instance listens."""
        self.metrics.started(seconds, time.time_ns())
        self.front.gate.started_in(seconds)
        if self._serving.cpu_throttling:
            self._throttle = Throttle(child.pid)
        self.front.open(port, instance_id)
        sys.stderr.write(f"cloudops run: {self.front.url} leads to PORT {port}, which listened after {seconds:.1f} s\n")

    def stopping(self) -> None:
        """SIGTERM comes next: no new requests, and the CPU back."""
        self.front.shut(for_good=True)
        self._release()

    def ended(self) -> None:
        """The instance is gone."""
        if self._start is not None:
            self._start.end()
        self._release()
        self.front.shut()
        self.metrics.ended(time.time_ns())
        if self._writer is not None:
            self._writer.group = 0

    def connect(self, source: "Source", emulator: str, token: str) -> None:
        """Send the request log and the metrics there from now on."""
        if self._shipper is not None:
            return
        from .platform import MetricsWriter  # noqa: PLC0415  # gRPC loads while the command is starting
        from .shipper import Shipper  # noqa: PLC0415  # as above

        self._shipper = Shipper(self._queue, source, emulator, token)
        labels = dict(source.resource_labels)
        self._writer = MetricsWriter(
            self.metrics, labels, emulator, token=token, every_seconds=self._serving.metrics_seconds
        )
        self._writer.group = self._group

    def close(self) -> str:
        """Send what is left; what there is to say of it."""
        self.front.shut(for_good=True)
        self.front.close()
        self._queue.close()
        if self._shipper is None or self._writer is None:
            return ""
        self._shipper.finish(_DELIVERY_SECONDS)
        self._writer.finish()
        text = f"cloudops run: {self.requests} requests, {self._shipper.written} in the request log\n"
        if self._writer.lost:
            text += f"cloudops run: {self._writer.lost} points of the platform's metrics lost: {self._writer.problem}\n"
        return text

    def _tell(self, exchange: Exchange) -> None:
        self.metrics.finished(exchange)
        line = Line("requests", time.time_ns(), self._number, exchange.entry(self._project))
        self._number += 1
        self._queue.put(line)

    def _in_flight(self, number: int) -> None:
        self.metrics.in_flight(number, time.time_ns())
        if self._throttle is not None:
            self._throttle.in_flight(number)

    def _release(self) -> None:
        throttle, self._throttle = self._throttle, None
        if throttle is not None:
            throttle.release()


class Start:
    """A thread that waits until an instance listens, and kills one that takes too long."""

    def __init__(
        self, service: Service, seconds: float, child: subprocess.Popen[bytes], port: int, instance_id: str
    ) -> None:
        self._ended = threading.Event()
        self._arguments = (service, seconds, child, port, instance_id)
        self._thread = threading.Thread(target=self._work, name="cloudops-startup-probe", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The instance is gone, or about to go."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        service, seconds, child, port, instance_id = self._arguments
        began = time.monotonic()
        while not self._ended.wait(_PROBE_SECONDS):
            passed = time.monotonic() - began
            if _listens(port):
                service.ready(child, port, instance_id, passed)
                return
            if passed > seconds:
                # The sentence of docs.cloud.google.com/run/docs/troubleshooting#container-failed-to-start.
                sys.stderr.write(
                    "cloudops run: The user-provided container failed to start and listen on the port defined provided"
                    f" by the PORT={port} environment variable within the allocated timeout ({seconds:g} s). Commands"
                    " that serve no requests run with --no-front.\n"
                )
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
                return


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Throttle:
    """Stops a process group while no request is in flight, as request-based billing takes the CPU away."""

    def __init__(self, group: int) -> None:
        self._group = group
        self._lock = threading.Lock()
        self._over = False
        self._stopped = False
        self.in_flight(0)

    def in_flight(self, number: int) -> None:
        with self._lock:
            if not self._over and self._stopped == bool(number):
                self._signal(signal.SIGCONT if number else signal.SIGSTOP)

    def release(self) -> None:
        """Let it run, for good."""
        with self._lock:
            self._over = True
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        self._stopped = number is signal.SIGSTOP
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._group, number)
