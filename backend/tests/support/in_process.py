"""What a test needs that runs the library in pytest's own process: fixtures, in force where a conftest imports them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from app.core import guard

#: What a developer's own shell may say, and would change what the tests see.
VARIABLES = (
    "AUTH_SIGNING_KEY",
    "CLOUDOPS_EMULATOR_HOST",
    "DATABASE_URL",
    "ENVIRONMENT",
    "GOOGLE_CLOUD_PROJECT",
    "KUBERNETES_SERVICE_HOST",
    "K_REVISION",
    "K_SERVICE",
    "REDIS_URL",
)


@contextmanager
def logging_restored() -> Iterator[None]:
    """`instrument` configures the process's logging; afterwards it is what pytest set up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@contextmanager
def variables_removed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def internal_failures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, BaseException]]]:
    """What telemetry swallows in production breaks its tests; a test that plants a failure empties the list."""
    failures: list[tuple[str, BaseException]] = []
    monkeypatch.setattr(guard, "report", lambda where, error: failures.append((where, error)))
    yield failures
    for where, error in failures:
        raise AssertionError(f"telemetry failed in {where!r}") from error


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    with logging_restored():
        yield


@pytest.fixture(autouse=True)
def bare_environment() -> Iterator[None]:
    with variables_removed():
        yield
