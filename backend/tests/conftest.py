import functools
import sys
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, settings

# What a busy machine makes slow is not wrong.
settings.register_profile("busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _one_tls_context() -> Iterator[None]:
    """Every client of httpx reads all of certifi's certificates anew, 20 ms each, and tests make thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_name_only() -> Iterator[None]:
    """The same files are `app` here and `fastapi_cloudops` in the wheel; loaded twice they would be two states."""
    yield
    loaded = [name for name in sys.modules if name.partition(".")[0] == "fastapi_cloudops"]
    assert loaded == [], "a test loaded the package under its other name: run it in a process of its own"
