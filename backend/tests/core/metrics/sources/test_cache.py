import functools
import gc

import pytest

from app.core.metrics.sources import CacheMetrics, refreshers


def test_hits_and_misses_are_counted(metrics, counts):
    cache = CacheMetrics("items", metrics)
    cache.hit()
    cache.hit(2)
    cache.miss()
    assert counts("cache_requests_total") == {("items", "hit"): 3, ("items", "miss"): 1}


async def test_a_look_up_that_returns_none_is_a_miss(metrics, counts):
    cache = CacheMetrics("items", metrics)
    kept = {"a": 0}

    @cache.look_up
    def find(key: str) -> int | None:
        return kept.get(key)

    @cache.look_up
    async def find_async(key: str) -> int | None:
        return kept[key]

    assert (find("a"), find("b"), await find_async("a")) == (0, None, 0)
    with pytest.raises(KeyError):
        await find_async("b")
    assert counts("cache_requests_total") == {("items", "hit"): 2, ("items", "miss"): 1}


def test_lru_cache_is_followed(metrics, refresh, counts):
    cache = CacheMetrics("squares", metrics)

    @cache.follow
    @functools.lru_cache
    def square(number: int) -> int:
        return number * number

    for number in (1, 1, 2):
        square(number)
    refresh()
    refresh()
    assert counts("cache_requests_total") == {("squares", "hit"): 1, ("squares", "miss"): 2}
    square.cache_clear()  # type: ignore[attr-defined]
    square(1)
    refresh()
    assert counts("cache_requests_total") == {("squares", "hit"): 1, ("squares", "miss"): 3}


def test_what_keeps_no_figures_cannot_be_followed(metrics):
    with pytest.raises(TypeError, match=r"above functools\.lru_cache"):
        CacheMetrics("squares", metrics).follow(len)


def test_following_twice_counts_once_and_ends_with_the_function(metrics, store, refresh, counts):
    cache = CacheMetrics("squares", metrics)

    def use() -> None:
        square = functools.lru_cache(lambda number: number * number)
        assert cache.follow(cache.follow(square)) is square
        square(1)
        refresh()

    use()
    gc.collect()
    refresh()
    assert counts("cache_requests_total") == {("squares", "hit"): 0, ("squares", "miss"): 1}
    assert not refreshers(store)._functions
