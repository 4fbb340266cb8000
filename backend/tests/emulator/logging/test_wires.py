"""Google's own logging clients against the emulator, over both wires."""

import json
import logging
from collections.abc import Iterator

import pytest
import requests
from google.api_core.exceptions import InvalidArgument, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import logging as cloud_logging
from google.cloud.logging_v2 import types
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.protobuf.any_pb2 import Any
from google.protobuf.json_format import MessageToDict

from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from

LOG = "projects/demo/logs/app"
GLOBAL = {"type": "global"}


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def grpc_client(emulator) -> Iterator[LoggingServiceV2Client]:
    with emulator.channel() as channel:
        yield LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))


@pytest.fixture
def http_client(emulator) -> Iterator[cloud_logging.Client]:
    with requests.Session() as session:
        session.trust_env = False
        client = cloud_logging.Client(
            project="demo",
            credentials=AnonymousCredentials(),
            _http=session,
            _use_grpc=False,
            client_options={"api_endpoint": emulator.http},
        )
        yield client


def rest(emulator, verb, body):
    answer = requests.post(f"{emulator.http}/v2/entries:{verb}", json=body, timeout=30)
    return answer.status_code, answer.json()


@known_from(docs="https://docs.cloud.google.com/python/docs/reference/logging/latest")
def test_the_grpc_client_writes_lists_and_deletes(grpc_client):
    entries = [types.LogEntry(text_payload=str(number), severity=number * 100) for number in range(9)]
    grpc_client.write_log_entries(log_name=LOG, resource=GLOBAL, labels={"a": "b"}, entries=entries)
    request = {"resource_names": ["projects/demo"], "filter": "severity>=ERROR", "page_size": 2}
    found = list(grpc_client.list_log_entries(request=request))  # follows the pages
    assert [entry.text_payload for entry in found] == ["5", "6", "7", "8"]
    assert dict(found[0].labels) == {"a": "b"}
    assert list(grpc_client.list_logs(parent="projects/demo")) == [LOG]
    grpc_client.delete_log(log_name=LOG)
    assert not list(grpc_client.list_log_entries(request=request))
    with pytest.raises(NotFound):
        grpc_client.delete_log(log_name=LOG)


@known_from(issue="googleapis/nodejs-logging#520")
def test_the_grpc_client_is_told_which_entry_was_too_large(grpc_client):
    entries = [types.LogEntry(text_payload="good"), types.LogEntry(text_payload="x" * 300_000)]
    request = types.WriteLogEntriesRequest(log_name=LOG, resource=GLOBAL, entries=entries, partial_success=True)
    with pytest.raises(InvalidArgument, match=r"exceeds maximum size of 256\.0K") as caught:
        grpc_client.write_log_entries(request=request)
    partial = types.WriteLogEntriesPartialErrors.pb()()
    # google-api-core leaves a detail that it does not know as an Any.
    assert any(isinstance(detail, Any) and detail.Unpack(partial) for detail in caught.value.details)
    assert list(partial.log_entry_errors) == [1]
    assert len(list(grpc_client.list_log_entries(resource_names=["projects/demo"]))) == 1


@known_from(docs="https://docs.cloud.google.com/python/docs/reference/logging/latest")
def test_the_http_client_writes_and_lists(http_client):
    logger = http_client.logger("app")
    logger.log_text("plain", severity="INFO")
    logger.log_struct({"message": "structured", "n": 1}, severity="ERROR", labels={"tenant": "a"}, trace="t")
    with logger.batch() as batch:
        batch.log_text("in a batch", insert_id="b1")
    found = list(http_client.list_entries(filter_='severity>=INFO OR "in a batch"'))
    assert [entry.payload for entry in found] == ["plain", {"message": "structured", "n": 1.0}, "in a batch"]
    assert (found[1].severity, found[1].labels["tenant"], found[1].trace) == ("ERROR", "a", "t")
    assert found[2].insert_id == "b1"
    newest = next(iter(http_client.list_entries(order_by=cloud_logging.DESCENDING, page_size=1)))
    assert newest.payload == "in a batch"
    logger.delete()
    assert not list(http_client.list_entries())


@known_from(docs="https://docs.cloud.google.com/python/docs/reference/logging/latest")
def test_python_s_logging_goes_through_google_s_handler(http_client, emulator):
    transport = cloud_logging.handlers.transports.SyncTransport
    handler = cloud_logging.handlers.CloudLoggingHandler(http_client, name="py", transport=transport)
    logger = logging.getLogger("test_wires")
    logger.addHandler(handler)
    try:
        logger.warning("from python", extra={"json_fields": {"order": 7}})
    finally:
        logger.removeHandler(handler)
    (entry,) = http_client.list_entries(filter_='jsonPayload.order=7 severity=WARNING log_id("py")')
    assert entry.payload["message"] == "from python"


def test_both_wires_give_the_same_answer(grpc_client, emulator):
    grpc_client.write_log_entries(
        log_name=LOG,
        resource=GLOBAL,
        entries=[
            types.LogEntry(json_payload={"n": 1, "deep": {"a": [1, "b", None]}}, severity="ERROR", span_id="00f0")
        ],
    )
    status, _ = rest(
        emulator,
        "write",
        {
            "logName": LOG,
            "resource": GLOBAL,
            "entries": [{"textPayload": "over REST", "httpRequest": {"latency": "1.5s"}}],
        },
    )
    assert status == 200
    query = {"resourceNames": ["projects/demo"], "filter": 'timestamp>"2020-01-01"', "orderBy": "timestamp desc"}
    status, over_rest = rest(emulator, "list", query)
    over_grpc = grpc_client.list_log_entries(
        resource_names=query["resourceNames"], filter=query["filter"], order_by=query["orderBy"]
    )
    assert status == 200
    assert over_rest["entries"] == [MessageToDict(types.LogEntry.pb(entry)) for entry in over_grpc]
    assert len(over_rest["entries"]) == 2


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("list", {"resourceNames": ["projects/demo"], "filter": "severity>="}),
        ("list", {"resourceNames": ["projects/demo"], "pageSize": 5000}),
        ("list", {"resourceNames": []}),
        ("write", {"logName": LOG, "entries": [{"textPayload": "no resource"}]}),
        ("write", {"logName": "projects/demo/logs/a b", "resource": GLOBAL, "entries": [{"textPayload": "x"}]}),
    ],
)
def test_both_wires_refuse_with_the_same_words(grpc_client, emulator, verb, body):
    status, answer = rest(emulator, verb, body)
    calls = {
        "list": lambda text: grpc_client.list_log_entries(request=types.ListLogEntriesRequest.from_json(text)),
        "write": lambda text: grpc_client.write_log_entries(request=types.WriteLogEntriesRequest.from_json(text)),
    }
    with pytest.raises(InvalidArgument) as caught:
        calls[verb](json.dumps(body))
    assert status == 400
    assert (answer["error"]["status"], answer["error"]["message"]) == ("INVALID_ARGUMENT", caught.value.message)
