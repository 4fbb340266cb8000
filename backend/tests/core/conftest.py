import logging
from collections.abc import Iterator

import pytest
import structlog

from app.core import guard


@pytest.fixture(autouse=True)
def internal_failures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, BaseException]]]:
    """What telemetry swallows in production breaks its tests; a test that plants a failure empties the list."""
    failures: list[tuple[str, BaseException]] = []
    monkeypatch.setattr(guard, "report", lambda where, error: failures.append((where, error)))
    yield failures
    for where, error in failures:
        raise AssertionError(f"telemetry failed in {where!r}") from error


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """`instrument` configures the process's logging; each test starts from what pytest set up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "K_SERVICE",
        "K_REVISION",
        "GOOGLE_CLOUD_PROJECT",
        "CLOUDOPS_EMULATOR_HOST",
        "KUBERNETES_SERVICE_HOST",
    ):
        monkeypatch.delenv(name, raising=False)
