import logging
from collections.abc import Iterator

import pytest
import structlog

from app.core import guard


@pytest.fixture(autouse=True)
def _internal_failures(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What telemetry swallows in production breaks a test."""
    failures: list[tuple[str, BaseException]] = []
    monkeypatch.setattr(guard, "report", lambda where, error: failures.append((where, error)))
    yield
    for where, error in failures:
        raise AssertionError(f"telemetry failed in {where!r}") from error


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "AUTH_SIGNING_KEY", "ENVIRONMENT", "K_SERVICE", "CLOUDOPS_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
