"""Caches: hits and misses, counted by the code that looks up or told by `functools.lru_cache`."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from weakref import ref

from ..instruments import MetricsClient
from .refresh import refreshers
from .source import attach, client_of, harmless, store_of

if TYPE_CHECKING:
    from ..cells import Store

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class CacheMetrics:
    """Counts the look-ups of one cache.

    Args:
        name: A name for the cache, from your code.
        metrics: Where to count; this process's metrics when None.
    """

    def __init__(self, name: str, metrics: MetricsClient | None = None) -> None:
        self._metrics = client_of(metrics)
        self._hits = self._metrics.counter("cache_requests_total", {"cache": name, "result": "hit"})
        self._misses = self._metrics.counter("cache_requests_total", {"cache": name, "result": "miss"})

    def hit(self, amount: int = 1) -> None:
        self._hits.add(amount)

    def miss(self, amount: int = 1) -> None:
        self._misses.add(amount)

    def look_up(self, function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        """Count the calls of a function, sync or async: one that returns None is a miss, one that raises is neither."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def looked_up_async(*args: Arguments.args, **options: Arguments.kwargs) -> Any:
                answer = await function(*args, **options)
                harmless("cache", self.miss if answer is None else self.hit)
                return answer

            return cast("Callable[Arguments, Answer]", looked_up_async)

        @functools.wraps(function)
        def looked_up(*args: Arguments.args, **options: Arguments.kwargs) -> Answer:
            answer = function(*args, **options)
            harmless("cache", self.miss if answer is None else self.hit)
            return answer

        return looked_up

    def follow(self, cached: Callable[..., Answer]) -> Callable[..., Answer]:
        """Read hits and misses of a function with `functools.lru_cache` before each export; the same function.

        Raises:
            TypeError: The function has no `cache_info`.
        """
        if not hasattr(cached, "cache_info"):
            raise TypeError(f"{cached!r} has no cache_info(): put this above functools.lru_cache")
        store = store_of(self._metrics)
        attach(cached, store, lambda: _Followed(cached, self, store))
        return cached


class _Followed:
    """Brings the figures of one cached function over, as long as the function lives."""

    def __init__(self, cached: Any, cache: CacheMetrics, store: "Store") -> None:
        self._cached = ref(cached)
        self._cache = cache
        self._store = store
        self._seen = (0, 0)
        refreshers(store).add(self.refresh)

    def close(self) -> None:
        refreshers(self._store).discard(self.refresh)

    def refresh(self) -> None:
        cached = self._cached()
        if cached is None:
            self.close()
            return
        info = cached.cache_info()
        now = (info.hits, info.misses)
        # `cache_clear` sets them back to zero.
        hits, misses = (new - old if new >= old else new for new, old in zip(now, self._seen, strict=True))
        self._seen = now
        self._cache.hit(hits)
        self._cache.miss(misses)
