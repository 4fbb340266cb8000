"""Delivery of entries when answers get lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.cloud.logging_v2 import types

from app.emulator.logging.service import LoggingService
from app.emulator.project import Context
from app.emulator.run.agent import Source
from app.emulator.run.lines import LineQueue, line_of
from app.emulator.run.shipper import Shipper
from support.provenance import known_from

SOURCE = Source("demo", "items", "items-00001-dev", "europe-west1", "00ab", "18")


class LosesAnswers:
    """The emulator's Logging behind a wire that loses the first answers, after the entries were stored."""

    def __init__(self, lost: int) -> None:
        self.service = LoggingService(Context())
        self.lost = lost
        self.calls = 0
        self._server = grpc.server(ThreadPoolExecutor(1))
        request = types.WriteLogEntriesRequest.pb()
        handler: Any = grpc.unary_unary_rpc_method_handler(
            self._write, request.FromString, lambda answer: answer.SerializeToString()
        )
        service = "google.logging.v2.LoggingServiceV2"
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"WriteLogEntries": handler}),)
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _write(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.calls += 1
        answer = self.service.write_log_entries(request)
        if self.calls <= self.lost:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")
        return answer

    def close(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def emulator() -> Iterator[LosesAnswers]:
    emulator = LosesAnswers(lost=3)
    yield emulator
    emulator.close()


@known_from(proto="google/logging/v2/log_entry.proto")
def test_an_entry_whose_answer_was_lost_is_there_once(emulator):
    queue = LineQueue()
    for number in range(1200):
        queue.put(line_of("stdout", number, f"{number}".encode()))
    queue.close()
    shipper = Shipper(queue, SOURCE, emulator.address)
    shipper.finish(30)
    assert (shipper.written, shipper.refused, queue.dropped) == (1200, 0, 0)
    assert emulator.calls == 6  # three batches, three repeated
    stored = emulator.service.store.window(0, 2**63 - 1)
    assert [record.entry.text_payload for record in stored] == [str(number) for number in range(1200)]


def test_what_cannot_be_delivered_in_time_is_counted(emulator):
    emulator.lost = 10**9
    queue = LineQueue()
    for number in range(1200):
        queue.put(line_of("stdout", number, b"x"))
    queue.close()
    shipper = Shipper(queue, SOURCE, emulator.address)
    shipper.finish(0.3)
    assert shipper.written == 0
    assert shipper.refused + queue.dropped == 1200
    assert shipper.problem == "UNAVAILABLE: the connection broke"
