import pytest
from fastapi import FastAPI

from app.core import set_user
from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.distinct import ActiveUsers
from support.service import observed


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def users(store, seconds):
    return ActiveUsers(MetricsClient(store), seconds)


def _published(users, store):
    users.publish()
    return {series.values[0]: series.cell[0] for series in store.series}


@pytest.mark.parametrize("number", [0, 1, 10, 100, 5_000, 30_000])
def test_the_estimate_is_within_ten_percent_of_the_truth(users, store, number):
    for user in range(number):
        users.saw(f"user-{user}")
        users.saw(f"user-{user}")
    # Four standard errors, and one for the few.
    assert _published(users, store)["24h"] == pytest.approx(number, rel=0.1, abs=1)


def test_a_user_leaves_the_windows_one_after_the_other(users, store, seconds):
    users.saw("ada")
    assert _published(users, store) == {"15m": 1, "1h": 1, "24h": 1}
    seconds.now = 901
    users.saw("grace")
    assert _published(users, store) == {"15m": 1, "1h": 2, "24h": 2}
    seconds.now = 901 + 3600
    assert _published(users, store) == {"15m": 0, "1h": 0, "24h": 2}
    seconds.now = 200_000
    assert _published(users, store) == {"15m": 0, "1h": 0, "24h": 0}


def test_memory_does_not_grow_with_the_users(users):
    sizes = []
    for start in (0, 50_000):
        for user in range(start, start + 20_000):
            users.saw(f"user-{user}")
        sizes.append(len(users._waiting))  # what would grow
    assert max(sizes) < 1000


async def test_the_user_of_a_request_is_counted():
    app = FastAPI()

    @app.get("/")
    async def index() -> None:
        set_user("ada")

    with observed(app) as service:
        async with service.client() as client:
            for _ in range(3):
                await client.get("/")
        service.observability.active_users.publish()
        assert service.series("active_users")["15m",] == [1.0]


async def test_an_unhandled_error_is_counted_by_its_type():
    app = FastAPI()

    @app.get("/")
    async def index() -> None:
        raise KeyError("secret")

    with observed(app) as service:
        async with service.client() as client:
            await client.get("/")
        assert service.series("errors_total") == {("KeyError",): [1.0]}
