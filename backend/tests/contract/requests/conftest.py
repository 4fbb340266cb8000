from collections.abc import Iterator

import pytest

from app.core.monitoring_middleware import MonitoringMiddleware
from support.in_process import internal_failures, logging_restored, variables_removed  # noqa: F401  # one is a fixture
from support.service import observed


@pytest.fixture(autouse=True, scope="module")
def _as_before() -> Iterator[None]:
    """The servers of a module live as long as the module."""
    with logging_restored(), variables_removed():
        yield


@pytest.fixture
def service():
    with observed() as service:
        yield service


@pytest.fixture
def layer(service):
    """Puts the layer around an ASGI app."""

    return lambda app: MonitoringMiddleware(app, service.observability)
