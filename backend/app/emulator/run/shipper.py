"""Entries to Cloud Logging: batches through WriteLogEntries, repeated until they are acknowledged."""

import threading
from typing import Any

import grpc
from google.cloud.logging_v2.types import WriteLogEntriesPartialErrors, WriteLogEntriesRequest, WriteLogEntriesResponse
from google.rpc.status_pb2 import Status

from .agent import Source
from .lines import LineQueue

_METHOD = "/google.logging.v2.LoggingServiceV2/WriteLogEntries"
_BATCH_LINES = 500
_BATCH_BYTES = 2 * 2**20  # an entry may grow when it is encoded, and a request must stay under gRPC's 4 MiB
_CALL_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_TRANSIENT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
}


class Shipper:
    """A thread that empties a queue of lines into the emulator.

    A write whose answer was lost is repeated with the same insertIds and timestamps, which Cloud Logging takes as one.
    """

    def __init__(self, queue: LineQueue, source: Source, address: str, token: str = "") -> None:
        self.written = 0
        self.refused = 0
        self.problem = ""
        self._queue = queue
        self._source = source
        # What `cloudops up --token` asks for.
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        # Retries are ours: gRPC's own pause between two attempts to connect grows to two minutes.
        options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]
        self._channel = grpc.insecure_channel(address, options=options)
        self._write = self._channel.unary_unary(
            _METHOD,
            request_serializer=WriteLogEntriesRequest.pb().SerializeToString,
            response_deserializer=WriteLogEntriesResponse.pb().FromString,
        )
        self._giving_up = threading.Event()
        self._thread = threading.Thread(target=self._work, name="cloudops-log-shipper", daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Send what is left, for so long at most; the queue has to be closed."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._giving_up.set()
            self._thread.join(_CALL_SECONDS + 1)
        self._channel.close()

    def _work(self) -> None:
        while (lines := self._queue.take(_BATCH_LINES, _BATCH_BYTES)) is not None:
            request = WriteLogEntriesRequest.pb()(
                entries=[self._source.entry(line) for line in lines], partial_success=True
            )
            if not self._deliver(request):
                self.refused += len(lines)
                self._queue.abandon()
                return

    def _deliver(self, request: Any) -> bool:
        """Send until it is answered; false when time is up."""
        pause = _FIRST_PAUSE
        while True:
            try:
                # Waiting for the channel would hide an emulator that is gone.
                self._write(request, timeout=_CALL_SECONDS, metadata=self._metadata)
            except grpc.RpcError as error:
                self.problem = f"{error.code().name}: {error.details()}"
                if error.code() not in _TRANSIENT:
                    refused = _refused(error, len(request.entries))
                    self.refused += refused
                    self.written += len(request.entries) - refused
                    return True
            else:
                self.written += len(request.entries)
                return True
            if self._giving_up.wait(pause):
                return False
            pause = min(pause * 2, _LONGEST_PAUSE)


def _refused(error: Any, entries: int) -> int:
    """How many entries of a write were not taken: those named in its details, else all."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in Status.FromString(value).details:
            listing = WriteLogEntriesPartialErrors.pb()()
            if detail.Unpack(listing):
                return len(listing.log_entry_errors)
    return entries
