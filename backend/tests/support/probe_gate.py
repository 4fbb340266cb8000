"""What the parts of the probe's app share."""

import asyncio
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

GATE_SECONDS = 20.0


class ProbeError(Exception):
    """What the app raises, with a name of its own, so that nothing else is taken for it."""


class Gate:
    """A place in the app where a request waits until the test lets it go on."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._opened = threading.Event()

    def close(self) -> None:
        self._arrived.clear()
        self._opened.clear()

    def open(self) -> None:
        self._opened.set()

    def wait_for_arrival(self) -> None:
        assert self._arrived.wait(GATE_SECONDS), "no request came to the gate"

    async def stand(self) -> None:
        self._arrived.set()
        async with asyncio.timeout(GATE_SECONDS):
            while not self._opened.is_set():  # noqa: ASYNC110  # opened by the test, in another thread
                await asyncio.sleep(0.002)

    def stand_in_thread(self) -> None:
        self._arrived.set()
        assert self._opened.wait(GATE_SECONDS)


@contextmanager
def deprecations_allowed() -> Iterator[None]:
    """`FastAPI(root_path=...)` is deprecated in the newest versions, and in use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.path_params['name']}")
