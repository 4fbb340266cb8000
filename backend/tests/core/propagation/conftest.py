from collections.abc import Iterator

import pytest

from app.core.context import RequestContext
from app.core.propagation import request_context
from support.recording import FOREIGN, Recorder, recording

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def ours() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def foreign() -> Iterator[Recorder]:
    with recording(FOREIGN) as recorder:
        yield recorder


@pytest.fixture
def job() -> Iterator[RequestContext]:
    """A context that is current during the test."""
    with request_context(request_id="req-1", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01") as context:
        yield context
