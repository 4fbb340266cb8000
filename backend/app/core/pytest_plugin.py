"""`pytest_plugins = ["fastapi_cloudops.core.pytest_plugin"]` in the conftest.py of a project."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from .testing import Seen, observe


@pytest.fixture
def telemetry() -> Iterator[Callable[..., Seen]]:
    """As a function: what is told of an app until the test ends, with settings as `observe` takes them."""
    with ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(observe(app, **options))
