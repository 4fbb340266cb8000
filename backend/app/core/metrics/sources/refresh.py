"""What brings gauges up to date before they are read: by the exporter, or by whoever asks for the exposition."""

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ... import guard
from ..cells import Store

Made = TypeVar("Made")
_PATIENCE_SECONDS: Final = 5.0


class Refreshers:
    """Functions to call before the metrics of one store are read; one that fails does not hold up the others.

    One reader at a time calls them: many follow totals of somebody else, which two at once would count twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: dict[Callable[[], None], None] = {}

    def add(self, function: Callable[[], None]) -> None:
        self._functions[function] = None

    def discard(self, function: Callable[[], None]) -> None:
        self._functions.pop(function, None)

    def __call__(self) -> None:
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            return  # somebody else is at it; gauges are as fresh as they get
        try:
            self._call_all()
        finally:
            self._lock.release()

    def _call_all(self) -> None:
        for function in list(self._functions):  # a copy: other threads add and discard meanwhile
            try:
                function()
            except Exception as error:  # noqa: BLE001  # whatever a user's function or a library raises
                guard.caught("gauge", error)


def kept(store: Store, key: object, make: Callable[[], Made]) -> Made:
    """What a helper keeps for a store under a key, made at the first question; it ends with the store."""
    # On the store itself: a table beside it would keep it alive, since most of what is kept knows its store.
    table: dict[object, Any] = vars(store).setdefault("_kept_by_sources", {})
    if key not in table:
        table[key] = make()
    return table[key]  # type: ignore[no-any-return]  # a key has one kind of thing


def forget(store: Store, key: object, thing: object) -> None:
    """Keep a thing no longer; another one under its key stays."""
    table: dict[object, Any] = vars(store).get("_kept_by_sources", {})
    if table.get(key) is thing:
        del table[key]


def refreshers(store: Store) -> Refreshers:
    """The functions of a store, made at the first question."""
    return kept(store, "refreshers", Refreshers)
