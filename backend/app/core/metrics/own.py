"""The library's figures about itself, brought into metrics before each export."""

from collections.abc import Callable

from .instruments import Counter


class Follower:
    """Lets a counter follow a total that something else keeps."""

    def __init__(self, counter: Counter, total: Callable[[], float]) -> None:
        self._counter = counter
        self._total = total
        self._seen = 0.0

    def __call__(self) -> None:
        total = self._total()
        self._counter.add(total - self._seen)
        self._seen = total
