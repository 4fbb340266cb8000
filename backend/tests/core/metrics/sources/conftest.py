from collections.abc import Callable, Iterator

import pytest

from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.sources import refreshers
from support.databases import postgresql, redis_server


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def metrics(store) -> MetricsClient:
    return MetricsClient(store)


@pytest.fixture
def refresh(store) -> Callable[[], None]:
    return refreshers(store)


@pytest.fixture
def cells(store) -> Callable[[str], dict[tuple[str, ...], list[float]]]:
    """Cells of a metric by label values, in the order of label names."""
    return lambda name: {series.values: cell for series, cell in store.peek() if series.metric.name == name}


@pytest.fixture
def counts(cells) -> Callable[[str], dict[tuple[str, ...], float]]:
    """What each series has counted: how many values of a histogram, the number of anything else."""

    def read(name: str) -> dict[tuple[str, ...], float]:
        return {values: sum(cell[:-1]) if len(cell) > 1 else cell[0] for values, cell in cells(name).items()}

    return read


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The URL of a real PostgreSQL."""
    with postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    with redis_server() as port:
        yield port
