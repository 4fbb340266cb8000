import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _one_name_only() -> Iterator[None]:
    """The same files are `app` here and `fastapi_cloudops` in the wheel; loaded twice they would be two states."""
    yield
    loaded = [name for name in sys.modules if name.partition(".")[0] == "fastapi_cloudops"]
    assert loaded == [], "a test loaded the package under its other name: run it in a process of its own"
