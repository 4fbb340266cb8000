import re
import subprocess
import sys
from pathlib import Path

from fastapi import FastAPI

from app.core.context import read_traceparent
from app.core.propagation import (
    cloud_task_headers,
    from_pubsub_push,
    outgoing_headers,
    pubsub_attributes,
    request_context,
)
from support.provenance import known_from
from support.service import observed

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_outside_of_a_request_nothing_is_sent():
    assert outgoing_headers() == {}
    assert outgoing_headers("api.example.com", ["api.example.com"]) == {}
    assert pubsub_attributes() == {}
    assert cloud_task_headers() == {}


@known_from(docs="https://www.w3.org/TR/trace-context/#traceparent-header")
def test_our_span_is_the_parent_of_what_others_do(job):
    headers = outgoing_headers()
    assert headers == {"traceparent": f"00-{TRACE}-{job.trace.span_id}-01", "x-request-id": "req-1"}
    assert job.trace.span_id != "00f067aa0ba902b7"


def test_what_the_caller_did_not_sample_is_not_sampled_downstream():
    with request_context(traceparent=f"00-{TRACE}-00f067aa0ba902b7-00"):
        assert outgoing_headers()["traceparent"].endswith("-00")


def test_two_calls_of_one_request_name_the_same_span(job):
    assert outgoing_headers() == outgoing_headers()


def test_a_host_gets_the_ids_only_when_it_is_named(job):
    assert outgoing_headers("api.example.com") == {}
    assert outgoing_headers("api.example.com", "other.example.com") == {}
    assert outgoing_headers("api.example.com", "*.example.com") == outgoing_headers() != {}


def test_made_up_ids_are_valid_ids():
    with request_context(request_id="a b", traceparent="nonsense"):
        headers = outgoing_headers()
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    assert read_traceparent(headers["traceparent"].encode()) is not None


@known_from(issue="googleapis/nodejs-pubsub#1389")
def test_a_message_carries_the_ids_under_the_names_of_googles_clients_and_they_arrive(job):
    attributes = pubsub_attributes()
    assert set(attributes) == {"googclient_traceparent", "request_id"}
    origin = from_pubsub_push({"message": {"attributes": attributes, "messageId": "1"}})
    assert (origin.request_id, origin.parent) == ("req-1", (TRACE, job.trace.span_id, True))


def test_a_task_carries_the_ids_as_headers(job):
    assert cloud_task_headers() == outgoing_headers()


async def test_a_served_request_sends_the_ids_that_its_log_entries_have():
    app = FastAPI()

    @app.get("/")
    def endpoint() -> dict[str, str]:
        return outgoing_headers()

    with observed(app) as service:
        async with service.client(headers={"x-request-id": "from-client"}) as client:
            sent = (await client.get("/")).json()
        [entry] = service.access
    trace_id, span_id = sent["traceparent"].split("-")[1:3]
    assert sent["x-request-id"] == entry["request_id"] == "from-client"
    assert entry["logging.googleapis.com/trace"].endswith(trace_id)
    assert entry["logging.googleapis.com/spanId"] == span_id


def test_importing_the_helpers_loads_no_client_library():
    code = "import app.core.propagation, sys; print(*sys.modules)"
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert {"httpx", "requests", "aiohttp", "grpc"} & set(answer.stdout.split()) == set()
