"""Where rendered lines go: standard output, a person's terminal, or Cloud Logging's API."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .api import ApiLog
from .resource import GLOBAL, Resource
from .spill import BUFFER_BYTES
from .stdout import Stdout
from .terminal import Terminal, wants_colour

Format = Literal["auto", "json", "text"]


@dataclass(frozen=True, slots=True)
class Destination:
    """`write` takes each line; `stdout` is where they end, or what stands in when the API cannot be used."""

    write: Callable[[bytes], None]
    stdout: Stdout
    api: ApiLog | None = None

    @property
    def dropped(self) -> int:
        """Lines lost, wherever."""
        return self.stdout.dropped + (self.api.dropped if self.api else 0)

    @property
    def bytes(self) -> int:
        """Bytes that reached the platform."""
        return self.api.bytes if self.api else self.stdout.bytes

    def open(self) -> None:
        """The service starts, perhaps again."""
        if self.api is not None:
            self.api.open()

    def close(self, timeout: float) -> bool:
        """The service ends: deliver what waits; later lines go to standard output. False when that takes too long."""
        deadline = time.monotonic() + timeout
        sent = self.api is None or self.api.close(timeout)
        return self.stdout.flush(max(0.0, deadline - time.monotonic())) and sent


def standard_output(log_format: Format = "auto", buffer_bytes: int = BUFFER_BYTES, descriptor: int = 1) -> Destination:
    """Standard output: lines of JSON, or text for a person who looks on."""
    stdout = Stdout(descriptor, buffer_bytes=buffer_bytes)
    looked_at = _is_terminal(descriptor)
    if log_format == "text" or (log_format == "auto" and looked_at):
        return Destination(Terminal(stdout, colour=wants_colour(looked_at)), stdout)
    return Destination(stdout, stdout)


def cloud_logging(
    project: str,
    log_id: str,
    resource: Resource = GLOBAL,
    *,
    emulator_host: str = "",
    buffer_bytes: int = BUFFER_BYTES,
) -> Destination:
    """Cloud Logging's API; see `ApiLog`."""
    stdout = Stdout(buffer_bytes=buffer_bytes)
    api = ApiLog(project, log_id, resource, emulator_host=emulator_host, buffer_bytes=buffer_bytes, fallback=stdout)
    return Destination(api, stdout, api)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
