"""Cloud Logging's API as the library meets it: a server that fails when the test says so."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.cloud.logging_v2.types import (
    WriteLogEntriesRequest,
    WriteLogEntriesResponse,
)

from app.core.logging.api import ApiLog

BACKEND = Path(__file__).parents[2]
FAST: dict[str, Any] = {"linger": 0.02, "delays": (0.02, 0.1)}
METHOD = "/google.logging.v2.LoggingServiceV2/WriteLogEntries"


def log_line(number: int, severity: str = "INFO", **fields: Any) -> bytes:
    return json.dumps({"severity": severity, "message": f"line {number}", "n": number, **fields}).encode() + b"\n"


@contextmanager
def api_log(address: str, *, closing: float = 5.0, **options: Any) -> Iterator[ApiLog]:
    log = ApiLog("demo", "items", **{"emulator_host": address, **FAST, **options})
    try:
        yield log
    finally:
        log.close(closing)


class Service:
    """A server that keeps what it takes, and fails when the test says so."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.stored: dict[tuple[int, str], list[Any]] = {}
        self.times: list[float] = []
        #: For each coming call: a function of request and context, which may abort.
        self.faults: list[Callable[[Any, Any], None]] = []
        handler = grpc.unary_unary_rpc_method_handler(
            self._write,
            request_deserializer=WriteLogEntriesRequest.pb().FromString,
            response_serializer=WriteLogEntriesResponse.pb().SerializeToString,
        )
        self.server = grpc.server(ThreadPoolExecutor(4))
        service, method = METHOD[1:].split("/")
        self.server.add_registered_method_handlers(service, {method: handler})
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def _write(self, request: Any, context: Any) -> Any:
        self.times.append(time.monotonic())
        self.requests.append(request)
        if self.faults:
            self.faults.pop(0)(request, context)
        self.store(request.entries)
        return WriteLogEntriesResponse.pb()()

    def store(self, entries: Iterable[Any]) -> None:
        for entry in entries:
            self.stored.setdefault((entry.timestamp.ToNanoseconds(), entry.insert_id), []).append(entry)

    @property
    def numbers(self) -> list[int]:
        entries = [entry for copies in self.stored.values() for entry in copies[:1]]
        return [int(entry.json_payload.fields["n"].number_value) for entry in entries]
