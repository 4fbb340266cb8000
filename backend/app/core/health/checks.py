"""A health check, and what came of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Status = Literal["healthy", "degraded", "unhealthy"]
#: Passes by returning anything but False or an `Answer` that says otherwise; fails by returning False or raising.
Function = Callable[[], object | Awaitable[object]]

#: What decides about `/health/ready`, and what `/health/startup` waits for once.
READY = "ready"
STARTUP = "startup"


class Answer(NamedTuple):
    """What a check may return when it has more to say than yes or no; `value` is what it saw, in `unit`."""

    status: Status = "healthy"
    reason: str = ""
    value: float | str | None = None
    unit: str = ""


class Degraded(Exception):  # noqa: N818  # it is no error: the service works, but not as well as it should
    """Raised by a check: the dependency works, but somebody should look at it."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question to a dependency.

    Attributes:
        name: Its name in answers, metrics and log entries.
        function: Asks.
        critical: Whether its failure takes the service out of readiness; otherwise it is only told.
        timeout: Seconds it may take; None: as long as the probe may.
        good_for: Seconds for which a good answer is used again; None: HEALTH_CHECK_INTERVAL.
        bad_for: Seconds for which any other answer is used again; None: HEALTH_CHECK_RETRY_INTERVAL.
        tags: Groups it belongs to.
    """

    name: str
    function: Function
    critical: bool = True
    timeout: float | None = None
    good_for: float | None = None
    bad_for: float | None = None
    tags: frozenset[str] = frozenset({READY})


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a check; its reason is for operators, not for the public.

    Attributes:
        check: What was asked.
        answer: What came of it.
        seconds: How long that took.
        taken: When, on the monotonic clock.
        time_ns: When, on the wall.
    """

    check: Check
    answer: Answer
    seconds: float
    taken: float
    time_ns: int

    @property
    def status(self) -> Status:
        return self.answer.status
