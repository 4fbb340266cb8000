"""A whole comparison: an emulator of its own on one side, the API on the other, everything taken away at the end."""

import asyncio
import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import grpc
import httpx

from ..server import Emulator, ServeOptions
from .comparison import Compared, clean, compare, recorded
from .probe import Probe, Run
from .wire import WIRES, Api, Grpc, Rest, Token, Wire

# cloud.google.com/monitoring/access-control, cloud.google.com/logging/docs/access-control
PERMISSIONS = (
    "monitoring.timeSeries.create",
    "monitoring.timeSeries.list",
    "monitoring.metricDescriptors.create",
    "monitoring.metricDescriptors.delete",
    "monitoring.metricDescriptors.list",
    "monitoring.alertPolicies.create",
    "monitoring.alertPolicies.delete",
    "monitoring.alertPolicies.list",
    "logging.logEntries.create",
    "logging.logEntries.list",
    "logging.logs.delete",
)
ROLES = ("roles/monitoring.editor", "roles/logging.admin")
_UNDER_WAY_SECONDS = 2.0
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Side:
    """Where one side answers."""

    def __init__(self, project: str, *, rest: str = "", grpc_address: str = "", token: Token = str) -> None:
        """Without addresses: Google's, which want a token."""
        self.project = project
        self._rest = rest
        self._grpc = grpc_address
        self._token = token
        self._client = httpx.Client(trust_env=not rest)
        self._channels: dict[str, grpc.Channel] = {}

    def api(self, wire: Wire) -> Api:
        return Rest(self._client, self._rest, self._token) if wire == "rest" else Grpc(self._channel)

    def _channel(self, host: str) -> grpc.Channel:
        target = self._grpc or f"{host}:443"
        if target not in self._channels:
            if self._grpc:
                self._channels[target] = grpc.insecure_channel(target)
            else:
                credentials = grpc.access_token_call_credentials(self._token())
                both = grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), credentials)
                self._channels[target] = grpc.secure_channel(target, both)
        return self._channels[target]

    def close(self) -> None:
        self._client.close()
        for channel in self._channels.values():
            channel.close()


def google_token() -> Token:
    """Access tokens of whoever runs this (application default credentials).

    Raises:
        google.auth.exceptions.DefaultCredentialsError: There are none.
    """
    import google.auth  # noqa: PLC0415  # only for the real API
    from google.auth.transport.requests import Request  # noqa: PLC0415  # as above

    credentials, _ = google.auth.default(scopes=[SCOPE])

    def token() -> str:
        if not credentials.valid:
            credentials.refresh(Request())  # type: ignore[no-untyped-call]  # google-auth is not typed there
        return str(credentials.token)

    return token


@contextlib.contextmanager
def own_emulator(project: str) -> Iterator[Side]:
    """An emulator on free ports, in a thread, with nothing in it."""
    emulator = Emulator(ServeOptions(grpc_port=0, http_port=0, project=project))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="emulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(emulator.start(), loop).result()
        side = Side(project, rest=emulator.addresses["http"], grpc_address=emulator.addresses["grpc"])
        try:
            yield side
        finally:
            side.close()
            asyncio.run_coroutine_threadsafe(emulator.stop(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Session:
    """One comparison; as a context it takes away what it wrote, however it ends."""

    def __init__(self, emulator: Side, real: Side, wires: Sequence[Wire] = WIRES, now: datetime | None = None) -> None:
        self._emulator = emulator
        self._real = real
        self._wires = wires
        self.began = now or datetime.now(UTC)
        self.name = secrets.token_hex(4)
        self._runs: list[tuple[Wire, Run]] = []
        self.left: list[str] = []
        """What could not be taken away."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._clean()
        if kind is not None and self._runs:
            # A call that was under way when the run was stopped may still write what it had to.
            time.sleep(_UNDER_WAY_SECONDS)
            self._clean()

    def _clean(self) -> None:
        self.left = []
        for wire, run in self._runs:
            try:
                self.left += clean(self._real.api(wire), run)
            except (httpx.HTTPError, grpc.RpcError, OSError) as error:
                self.left.append(f"{run.prefix}, {run.log_name}: {error}")

    def run(self, probes: Sequence[Probe]) -> Iterator[Compared]:
        for wire in self._wires:
            # Each wire has names of its own: what one wrote must not be in the other's way.
            ours = Run(self._emulator.project, f"{self.name}{wire}", self.began)
            theirs = Run(self._real.project, f"{self.name}{wire}", self.began)
            self._runs.append((wire, theirs))
            yield from compare(probes, wire, self._emulator.api(wire), self._real.api(wire), (ours, theirs))


def keep(folder: Path, one: Compared, day: datetime) -> Path:
    """Write one recorded answer, `<probe>.<wire>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{one.probe.name}.{one.wire}.json"
    text: dict[str, Any] = recorded(one, day)
    path.write_text(json.dumps(text, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
