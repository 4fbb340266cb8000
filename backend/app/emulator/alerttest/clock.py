"""The clock that a test moves."""

from collections.abc import Callable

from .notation import seconds_of


class TestClock:
    """The test's time. Moving it writes what is due and evaluates the policies on the way."""

    __test__ = False  # pytest collects classes by their name

    def __init__(self, move: Callable[[float], None], now: Callable[[], float]) -> None:
        self._move = move
        self._now = now

    @property
    def seconds(self) -> float:
        """Since the beginning of the test."""
        return self._now()

    def advance(self, duration: str | float = 0, *, days: float = 0, hours: float = 0, minutes: float = 0) -> None:
        """Let time pass: `advance("20m")`, `advance(minutes=20)`, `advance(90)` seconds."""
        self._move(self._now() + seconds_of(duration) + 86_400 * days + 3600 * hours + 60 * minutes)

    def advance_to(self, moment: str | float) -> None:
        """Let time pass until so long after the beginning."""
        self._move(seconds_of(moment))
