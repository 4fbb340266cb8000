"""Where rendered lines go: standard output, a person's terminal, or Cloud Logging's API."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .. import guard
from ..spool import SpoolOptions
from .api import ApiLog
from .api_sender import packed_target
from .resource import GLOBAL, Resource
from .spill import BUFFER_BYTES
from .stdout import Stdout
from .terminal import Terminal, wants_colour

Format = Literal["auto", "json", "text"]


@dataclass(frozen=True, slots=True)
class Destination:
    """`write` takes each line; `stdout` is where they end, or what stands in when the API cannot be used.

    `keep` takes the lines of the audit log, which are never dropped for others; False when one is lost all the same.
    """

    write: Callable[[bytes], None]
    keep: Callable[[bytes], bool]
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

    @property
    def at_risk(self) -> int:
        """Entries that would be lost with the process: Cloud Logging has not taken them, and no disk has."""
        return self.api.at_risk if self.api is not None else 0

    def flush(self, timeout: float) -> bool:
        """Deliver what waits, and go on; False when that takes longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        sent = self.api is None or self.api.flush(timeout)
        return self.stdout.flush(max(0.0, deadline - time.monotonic())) and sent

    def open(self) -> None:
        """The service starts, perhaps again."""
        if self.api is not None:
            self.api.open()

    def close(self, timeout: float) -> bool:
        """The service ends: deliver what waits; later lines go to standard output. False when that takes too long."""
        deadline = time.monotonic() + timeout
        sent = self.api is None or self.api.close(timeout)
        written = self.stdout.flush(max(0.0, deadline - time.monotonic()))
        if not written:
            self.stdout.rescue()
        return written and sent


def standard_output(log_format: Format = "auto", buffer_bytes: int = BUFFER_BYTES, descriptor: int = 1) -> Destination:
    """Standard output: lines of JSON, or text for a person who looks on."""
    stdout = Stdout(descriptor, buffer_bytes=buffer_bytes, rescue=guard.keep)
    looked_at = _is_terminal(descriptor)
    if log_format == "text" or (log_format == "auto" and looked_at):
        terminal = Terminal(stdout, colour=wants_colour(looked_at))
        return Destination(terminal, lambda line: stdout.keep(terminal.text(line)), stdout)
    return Destination(stdout, stdout.keep, stdout)


def cloud_logging(
    project: str,
    log_id: str,
    resource: Resource = GLOBAL,
    *,
    emulator_host: str = "",
    buffer_bytes: int = BUFFER_BYTES,
    spool: SpoolOptions | None = None,
) -> Destination:
    """Cloud Logging's API; see `ApiLog`."""
    stdout = Stdout(buffer_bytes=buffer_bytes, rescue=guard.keep)
    target = project, log_id, resource
    api = ApiLog(
        project,
        log_id,
        resource,
        emulator_host=emulator_host,
        buffer_bytes=buffer_bytes,
        fallback=stdout,
        rescue=stdout.keep,
        spool=spool.of("logs", [project, log_id, bool(emulator_host)], packed_target(target)) if spool else None,
    )
    return Destination(api, api.keep, stdout, api)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
