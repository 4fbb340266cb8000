import pytest

from app.core import guard
from support.log_api import Service


@pytest.fixture
def told(monkeypatch):
    """What the library says on stderr."""
    messages = []
    monkeypatch.setattr(guard, "warn", lambda message, **fields: messages.append({"message": message, **fields}))
    return messages


@pytest.fixture
def service():
    service = Service()
    yield service
    service.server.stop(0).wait(5)
