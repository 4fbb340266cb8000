"""Which entries below WARNING are written: by rate, one lot a request, so that its lines stand or fall together.

What is dropped in a request is held until its end, and written with its own times when the request failed or was slow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import random
from typing import Final

from ..context import RequestContext

#: Lines and bytes one request may hold back; older ones give way.
_HELD_LINES: Final = 200
_HELD_BYTES: Final = 256 * 1024
DEFAULT_RATES: Final[Mapping[str, float]] = {"DEBUG": 0.1}
_ALWAYS: Final = frozenset({"WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"})


@dataclass(frozen=True)
class Sampling:
    """Rates from 0 to 1 by severity (`DEBUG`), logger (`logger:sqlalchemy`) or route (`route:/feed`).

    The most particular one counts: route, then logger, then severity; without any, everything is kept.
    """

    rates: Mapping[str, float] = field(default_factory=lambda: DEFAULT_RATES)

    def keeps(self, severity: str, logger: str, context: RequestContext | None) -> bool:
        """Whether an entry is written."""
        if severity in _ALWAYS:
            return True
        rate = self._rate(severity, logger, context)
        if rate >= 1.0:
            return True
        if context is None:
            return random() < rate  # noqa: S311  # sampling, not secrets
        if context.verbose:
            return True
        if context.draw < 0.0:
            context.draw = random()  # noqa: S311  # as above
        return context.draw < rate

    def _rate(self, severity: str, logger: str, context: RequestContext | None) -> float:
        rates = self.rates
        if context is not None and (rate := rates.get(f"route:{context.route}")) is not None:
            return rate
        if logger and (rate := rates.get(f"logger:{logger}")) is not None:
            return rate
        return rates.get(severity, 1.0)


def hold(context: RequestContext, line: bytes) -> None:
    """Keep a dropped line until the request's end."""
    held = context.held
    if held is None:
        held = context.held = []
    held.append(line)
    while len(held) > _HELD_LINES or sum(map(len, held)) > _HELD_BYTES:
        del held[0]
