"""Which requests leave spans: a share of the successful ones, and those that failed or were slow.

The draw is the trace id itself (www.w3.org/TR/trace-context-2/#random-trace-id-flag: its last 56 bits are random), so
that services with the same rate keep the same traces.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final, Literal

Parent = Literal["auto", "honour", "ignore"]
#: Why a request's spans are kept.
Reason = Literal["rate", "parent", "debug", "error", "slow"]

_RANDOM_DIGITS: Final = 14
_RANGE: Final = 1 << 56


class ByRoute:
    """A number for each route template; `*` in a pattern stands for anything, the first pattern that fits counts."""

    def __init__(self, default: float, patterns: Mapping[str, float]) -> None:
        self._patterns = dict(patterns)
        # Templates are a closed set, so this does not grow with what clients ask for.
        self._known = {"": default}
        self.default = default
        self.constant = not patterns

    def of(self, template: str) -> float:
        found = self._known.get(template)
        if found is None:
            matches = (value for pattern, value in self._patterns.items() if fnmatchcase(template, pattern))
            found = self._known[template] = next(matches, self.default)
        return found


def below(trace_id: str, rate: float) -> bool:
    """Whether a trace is among the share that is kept."""
    return int(trace_id[-_RANDOM_DIGITS:], 16) < rate * _RANGE


class Sampling:
    """The rules.

    Args:
        rate: Share of successful requests.
        error_rate: Share of failed and of slow ones.
        slow_seconds: From when on a request is slow.
        rates: Shares of successful requests by route template.
        slow: Seconds from when on a request is slow, by route template.
        parent: Whether the caller's decision counts; `auto`: except where Google's front end made it.
        behind_google: Whether requests come through Google's front end, which decides for itself.
    """

    def __init__(
        self,
        *,
        rate: float,
        error_rate: float,
        slow_seconds: float,
        rates: Mapping[str, float],
        slow: Mapping[str, float],
        parent: Parent,
        behind_google: bool,
    ) -> None:
        self.rates = ByRoute(rate, rates)
        self.slow = ByRoute(slow_seconds, slow)
        self.rate = rate
        self.error_rate = error_rate
        self.honours_parent = parent == "honour" or (parent == "auto" and not behind_google)

    def may_be_kept(self, trace_id: str) -> bool:
        """Whether a request is kept should it fail or be slow."""
        return below(trace_id, self.error_rate)
