import logging
from collections.abc import Iterator

import pytest
import structlog

from app.core import guard
from app.core.monitoring_middleware import MonitoringMiddleware
from support.service import observed


@pytest.fixture(autouse=True)
def internal_failures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, BaseException]]]:
    """What telemetry swallows in production breaks its tests; a test that plants a failure empties the list."""
    failures: list[tuple[str, BaseException]] = []
    monkeypatch.setattr(guard, "report", lambda where, error: failures.append((where, error)))
    yield failures
    for where, error in failures:
        raise AssertionError(f"telemetry failed in {where!r}") from error


@pytest.fixture(autouse=True, scope="module")
def _logging_as_before() -> Iterator[None]:
    """`instrument` configures the process's logging; the servers of a module live as long as the module."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture(autouse=True, scope="module")
def _bare_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("K_SERVICE", "K_REVISION", "GOOGLE_CLOUD_PROJECT", "CLOUDOPS_EMULATOR_HOST"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def service():
    with observed() as service:
        yield service


@pytest.fixture
def layer(service):
    """Puts the layer around an ASGI app."""

    return lambda app: MonitoringMiddleware(app, service.observability)
