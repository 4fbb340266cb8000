"""What the helpers have in common: one for each thing observed, and each can be taken off again."""

import importlib
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from ... import guard
from ..cells import Store
from ..instruments import MetricsClient, metrics_client

#: Series of one metric that a helper makes at most, where names come from outside of the code.
NAMES: Final = 20
OTHER: Final = "other"


class Source(Protocol):
    """A helper at work."""

    def close(self) -> None:
        """Take the helper off again; a second time does nothing."""


Made = TypeVar("Made", bound=Source)

_attached: "WeakKeyDictionary[Any, dict[Store, Source]]" = WeakKeyDictionary()


def attach(target: object, store: Store, make: Callable[[], Made]) -> Made:
    """The source of a target: what an earlier call made, so that nothing is counted twice."""
    sources = _attached.setdefault(target, {})
    if store not in sources:
        sources[store] = make()
    return sources[store]  # type: ignore[return-value]  # a target has one kind of source


def detach(target: object, store: Store) -> bool:
    """Forget a source; False when it was forgotten before."""
    return _attached.get(target, {}).pop(store, None) is not None


def client_of(metrics: MetricsClient | None) -> MetricsClient:
    return metrics_client if metrics is None else metrics


def store_of(metrics: MetricsClient) -> Store:
    return metrics._store  # noqa: SLF001  # a part of the same package


def library(module: str, extra: str) -> Any:
    """A library that only one helper needs.

    Raises:
        ImportError: It is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"observing {extra} needs one more package: pip install 'fastapi-cloudops[{extra}]'"
        ) from error


def harmless(where: str, function: Callable[..., None], *arguments: object) -> None:
    """Call a function of ours; what it raises is told, and stays away from the application."""
    try:
        function(*arguments)
    except Exception as error:  # noqa: BLE001  # telemetry never reaches what it observes
        guard.caught(where, error)


class FirstNames:
    """Keeps a label bounded: the names that are allowed, or the first few that turn up; the rest is `other`."""

    def __init__(self, allowed: Iterable[str] | None = None, limit: int = NAMES) -> None:
        self._open = allowed is None
        self._limit = limit
        self._known = set(allowed or ())

    def __call__(self, name: str) -> str:
        if name in self._known:
            return name
        if self._open and len(self._known) < self._limit:
            self._known.add(name)
            return name
        return OTHER
