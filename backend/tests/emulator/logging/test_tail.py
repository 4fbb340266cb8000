"""TailLogEntries through Google's own client, and the sessions below it."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from queue import Queue
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument, NotFound
from google.cloud.logging_v2 import types
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict

from app.emulator.clock import ManualClock
from app.emulator.logging import tail
from app.emulator.logging.service import LoggingService
from app.emulator.project import Context
from app.emulator.status import ApiError, Code
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from
from support.waiting import wait_until

PROTO = "google/logging/v2/logging.proto"
REASONS = types.TailLogEntriesResponse.SuppressionInfo.Reason
NOW = Duration()


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def client(emulator) -> Iterator[LoggingServiceV2Client]:
    with emulator.channel() as channel:
        yield LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))


def write(client, *texts: str, severity: str = "INFO") -> None:
    entries = [types.LogEntry(text_payload=text, severity=severity) for text in texts]
    client.write_log_entries(log_name="projects/demo/logs/app", resource={"type": "global"}, entries=entries)


@contextlib.contextmanager
def tailing(client, emulator, **request: Any) -> Iterator["Queue[str]"]:
    """What a session sends, entry by entry."""
    found: Queue[str] = Queue()
    wanted = types.TailLogEntriesRequest(**{"resource_names": ["projects/demo"], "buffer_window": NOW, **request})
    streams: list[Any] = []

    def read() -> None:
        with contextlib.suppress(Exception):  # the stream is cancelled below
            # Google's client answers with the stream only when it has its first response.
            streams.append(client.tail_log_entries(requests=iter([wanted])))
            for response in streams[0]:
                for entry in response.entries:
                    found.put(entry.text_payload)

    sessions = emulator.emulator.parts.logging.tails._sessions
    before = len(sessions)
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    wait_until(lambda: len(sessions) > before, seconds=10, what="the session to begin")
    try:
        yield found
    finally:
        streams[0].cancel()
        thread.join(10)
        wait_until(lambda: len(sessions) == before, seconds=10, what="the session to end")


@known_from(proto=PROTO)
def test_entries_arrive_while_they_are_written_and_only_those_that_match(client, emulator):
    write(client, "before")
    with tailing(client, emulator, filter="severity>=ERROR") as found:
        write(client, "calm")
        write(client, "loud", severity="ERROR")
        assert found.get(timeout=10) == "loud"
        write(client, "again", severity="CRITICAL")
        assert found.get(timeout=10) == "again"
    assert found.empty()


@known_from(proto=PROTO)
def test_a_view_shows_only_its_part(client, emulator):
    names = ["projects/demo/locations/global/buckets/_Required/views/_AllLogs"]
    with tailing(client, emulator, resource_names=names) as found:
        write(client, "not there")
        client.write_log_entries(
            log_name="projects/demo/logs/cloudaudit.googleapis.com%2Factivity",
            resource={"type": "global"},
            entries=[types.LogEntry(text_payload="audit")],
        )
        assert found.get(timeout=10) == "audit"


@known_from(proto=PROTO)
def test_late_entries_within_the_window_come_in_order(client, emulator):
    recently = emulator.emulator.context.clock.now() // 10**9 - 60
    with tailing(client, emulator, buffer_window=Duration(nanos=300_000_000)) as found:
        for stamp in (2, 1):
            entry = types.LogEntry(text_payload=str(stamp), timestamp={"seconds": recently + stamp})
            client.write_log_entries(log_name="projects/demo/logs/app", resource={"type": "global"}, entries=[entry])
        assert [found.get(timeout=10), found.get(timeout=10)] == ["1", "2"]


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"resource_names": []}, InvalidArgument),
        ({"filter": "severity>="}, InvalidArgument),
        ({"buffer_window": Duration(seconds=61)}, InvalidArgument),
        ({"resource_names": ["projects/other"]}, NotFound),
    ],
)
def test_a_wrong_session_is_refused(client, request_, error):
    wanted = types.TailLogEntriesRequest(**{"resource_names": ["projects/demo"], **request_})
    with pytest.raises(error):
        next(iter(client.tail_log_entries(requests=iter([wanted]))))


class Sessions:
    """Streams that a test reads step by step."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.service = LoggingService(Context(clock=self.clock))

    def write(self, count: int) -> None:
        entries = [{"textPayload": "x"}] * count
        body = {"logName": "projects/demo/logs/app", "resource": {"type": "global"}, "entries": entries}
        self.service.write_log_entries(ParseDict(body, types.WriteLogEntriesRequest.pb()()))

    def open(self) -> AsyncIterator[Any]:
        async def requests() -> AsyncIterator[Any]:
            yield types.TailLogEntriesRequest.pb()(resource_names=["projects/demo"], buffer_window=NOW)

        return self.service.tail_log_entries(requests())


async def begun(sessions: Sessions) -> AsyncIterator[Any]:
    """A stream whose session exists: it has sent one entry."""
    stream = sessions.open()
    first = asyncio.ensure_future(anext(stream))
    # One turn of the loop: the first request needs no waiting.
    await asyncio.sleep(0)
    sessions.write(1)
    assert len((await asyncio.wait_for(first, 10)).entries) == 1
    return stream


@known_from(proto=PROTO)
async def test_entries_that_nobody_reads_are_suppressed_and_counted(monkeypatch):
    monkeypatch.setattr(tail, "_WAITING", 100)
    sessions = Sessions()
    stream = await begun(sessions)
    sessions.write(130)
    response = await anext(stream)
    assert len(response.entries) == 100
    assert [(info.reason, info.suppressed_count) for info in response.suppression_info] == [(REASONS.NOT_CONSUMED, 30)]
    sessions.write(1)
    assert not (await anext(stream)).suppression_info
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator


@known_from(docs="https://docs.cloud.google.com/logging/quotas")
async def test_more_entries_a_minute_than_the_quota_are_suppressed(monkeypatch):
    monkeypatch.setattr(tail, "_PER_MINUTE", 50)
    sessions = Sessions()
    stream = await begun(sessions)
    sessions.write(60)
    response = await anext(stream)
    assert len(response.entries) == 49
    assert [(info.reason, info.suppressed_count) for info in response.suppression_info] == [(REASONS.RATE_LIMIT, 11)]
    sessions.clock.advance(60)
    sessions.write(5)
    assert len((await anext(stream)).entries) == 5
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator


@known_from(docs="https://docs.cloud.google.com/logging/quotas")
async def test_an_eleventh_session_is_refused():
    sessions = Sessions()
    streams = [await begun(sessions) for _ in range(10)]
    with pytest.raises(ApiError) as caught:
        await anext(sessions.open())
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert not sessions.service.tails._sessions
