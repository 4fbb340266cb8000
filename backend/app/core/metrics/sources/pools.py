"""Pools of connections: how many are idle and in use, and how near the limit that is."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple
from weakref import ref

from ... import guard
from ..instruments import MetricsClient
from .refresh import kept, refreshers
from .source import store_of


class PoolState(NamedTuple):
    """Connections of a pool: those in use beyond its size are `overflow` alone; `limit` 0: there is none."""

    idle: int
    in_use: int
    limit: int = 0
    overflow: int | None = None


Prefix = Literal["db_pool", "redis_pool"]
Read = Callable[[Any], PoolState | None]


class Pools:
    """Pools of one kind; those of one name add up, since they are one series.

    Args:
        metrics: Where to count.
        prefix: `db_pool` or `redis_pool`: how the names of the metrics begin.
    """

    def __init__(self, metrics: MetricsClient, prefix: Prefix) -> None:
        self._metrics = metrics
        self._prefix = prefix
        self._members: dict[int, tuple[str, ref[Any], Read]] = {}
        # Names come from code, so these do not grow.
        self._shown: set[str] = set()
        self._limited: set[str] = set()
        refreshers(store_of(metrics)).add(self.refresh)

    def add(self, name: str, owner: object, read: Read) -> None:
        """Watch a pool as long as its owner lives; `read` gives its state, None when it cannot be told."""
        self._members[id(owner)] = (name, ref(owner), read)

    def remove(self, owner: object) -> None:
        self._members.pop(id(owner), None)

    def refresh(self) -> None:
        totals: dict[str, PoolState] = {}
        for key, (name, find, read) in list(self._members.items()):
            owner = find()
            if owner is None:
                self._members.pop(key, None)
                continue
            try:
                state = read(owner)
            except Exception as error:  # noqa: BLE001  # a pool that is being closed may answer with anything
                guard.caught("pool", error)
                continue
            if state is not None:
                totals[name] = _sum(totals.get(name), state)
        for name in self._shown - totals.keys():
            totals[name] = PoolState(0, 0)  # the last pool of that name is gone, and with it its connections
        for name, state in totals.items():
            self._show(name, state)

    def _show(self, name: str, state: PoolState) -> None:
        pool = {"pool": name}
        states = {"idle": state.idle, "in_use": state.in_use}
        if state.overflow is not None:
            states["overflow"] = state.overflow
        for one, number in states.items():
            self._metrics.gauge(f"{self._prefix}_connections", {**pool, "state": one}).set(number)
        if self._prefix == "db_pool" and (state.limit or name in self._limited):
            self._limited.add(name)
            used = state.in_use + (state.overflow or 0)
            self._metrics.gauge("db_pool_limit", pool).set(state.limit)
            self._metrics.gauge("db_pool_utilization", pool).set(used / state.limit if state.limit else 0.0)
        self._shown.add(name)


def _sum(one: PoolState | None, two: PoolState) -> PoolState:
    if one is None:
        return two
    overflow = None if one.overflow is None and two.overflow is None else (one.overflow or 0) + (two.overflow or 0)
    return PoolState(one.idle + two.idle, one.in_use + two.in_use, one.limit + two.limit, overflow)


def pools(metrics: MetricsClient, prefix: Prefix) -> Pools:
    """The pools of one kind that count in a client's store, for its job."""
    return kept(store_of(metrics), (prefix, metrics.job), lambda: Pools(metrics, prefix))
