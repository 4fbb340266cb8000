from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import update

from app.api.database.models import User
from support.in_process import bare_environment, internal_failures, logging_as_before  # noqa: F401  # fixtures
from support.reference_service import Running, reference_service


@pytest.fixture
async def administered() -> AsyncIterator[tuple[Running, httpx.AsyncClient, dict[str, str]]]:
    """The service, a client, and the headers of an administrator."""
    async with reference_service() as service, service.client() as client:
        headers = await service.signed_in(client, "root@example.com")
        async with service.parts.database.begin() as database:
            await database.execute(update(User).where(User.email == "root@example.com").values(role="admin"))
        yield service, client, headers
