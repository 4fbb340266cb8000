import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import structlog
from sqlalchemy import update

from app.api.database.models import User
from app.core import guard
from support.reference_service import Running, reference_service


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


@pytest.fixture
async def administered() -> AsyncIterator[tuple[Running, httpx.AsyncClient, dict[str, str]]]:
    """The service, a client, and the headers of an administrator."""
    async with reference_service() as service, service.client() as client:
        headers = await service.signed_in(client, "root@example.com")
        async with service.parts.database.begin() as database:
            await database.execute(update(User).where(User.email == "root@example.com").values(role="admin"))
        yield service, client, headers
