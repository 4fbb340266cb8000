"""Whether one more request is within its limits."""

import math
import time
from typing import NamedTuple

from limits import RateLimitItem
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from .counters import Counters, Store
from .policies import Policy


class Standing(NamedTuple):
    """Where a client stands with one limit."""

    limit: RateLimitItem
    remaining: int
    reset_seconds: int


class Verdict(NamedTuple):
    """What came of a check: of a refused one, `standings` ends with the limit that was exceeded."""

    allowed: bool
    standings: tuple[Standing, ...]

    @property
    def tightest(self) -> Standing:
        return min(self.standings, key=lambda one: (one.remaining, -one.reset_seconds))


class Limiter:
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def check(self, policy: Policy, subject: str) -> Verdict:
        """Count a request against each limit of a policy, up to the first that is exceeded."""

        async def check(store: Store) -> Verdict:
            strategy = SlidingWindowCounterRateLimiter(store)
            standings: list[Standing] = []
            allowed = True
            for limit in policy.limits:
                allowed = await strategy.hit(limit, policy.name, subject)
                reset, remaining = await strategy.get_window_stats(limit, policy.name, subject)
                seconds = max(1, math.ceil(reset - time.time()))
                standings.append(Standing(limit, max(0, remaining) if allowed else 0, seconds))
                if not allowed:
                    break
            return Verdict(allowed, tuple(standings))

        return await self._counters.ask(check)
