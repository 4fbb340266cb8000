from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from fastapi import FastAPI
from google.cloud import errorreporting_v1beta1 as api

from app.core.errors.api import ErrorReportingApi
from support.service import observed
from support.waiting import wait_until

METHOD = "/google.devtools.clouderrorreporting.v1beta1.ReportErrorsService/ReportErrorEvent"
REQUEST, ANSWER = api.ReportErrorEventRequest.pb(), api.ReportErrorEventResponse.pb()
EVENT = {
    "stack_trace": "Traceback (most recent call last):\nValueError: x\n",
    "serviceContext": {"service": "items"},
    "context": {"httpRequest": {"method": "GET", "url": "/x", "userAgent": "curl", "responseStatusCode": 500}},
}


class Service(grpc.GenericRpcHandler):
    """The one method, on a real server."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.fails = 0
        self.port = 0

    def service(self, call):
        if call.method != METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(self._answer, REQUEST.FromString, ANSWER.SerializeToString)

    def _answer(self, request, context):
        if self.fails:
            self.fails -= 1
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no")
        self.requests.append(request)
        return ANSWER()


@pytest.fixture
def service():
    service = Service()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((service,))
    service.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service
    server.stop(None)


async def test_an_unhandled_exception_reaches_error_reporting_beside_the_log(service):
    app = FastAPI()

    @app.get("/fails")
    async def fails() -> None:
        raise ValueError("no")

    host = f"127.0.0.1:{service.port}"
    settings = {"error_reporting": "api", "cloudops_emulator_host": host, "enable_metrics": False}
    with observed(app, google_cloud_project="shop", **settings) as observed_app:
        async with observed_app.client() as client:
            await client.get("/fails")
        await observed_app.observability.stop()
        [request] = service.requests
        assert request.project_name == "projects/shop"
        assert request.event.message.rstrip().endswith("ValueError: no")
        assert request.event.context.http_request.url == "/fails"
        assert any("stack_trace" in entry for entry in observed_app.entries)


def test_an_event_that_is_refused_is_counted_and_the_next_one_sent(service, internal_failures):
    service.fails = 1
    errors = ErrorReportingApi(lambda: "shop", f"127.0.0.1:{service.port}")
    errors(EVENT)
    wait_until(lambda: errors.dropped == 1, what="the refusal")
    errors(EVENT)
    errors.close()
    assert len(service.requests) == 1
    internal_failures.clear()


def test_what_does_not_fit_is_dropped_and_counted(service):
    errors = ErrorReportingApi(lambda: "shop", f"127.0.0.1:{service.port}")
    for _ in range(2_000):
        errors(EVENT)
    assert errors.dropped > 0
    errors.close(30)
    assert len(service.requests) + errors.dropped == 2_000
