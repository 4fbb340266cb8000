"""The checks of one service, run together, once for all who ask at the same time."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from .. import guard
from ..client_address import NONE, TrustedProxies
from ..logging import get_logger
from ..metrics import metrics_client
from ..redaction import Redaction
from .asking import Caller
from .checks import READY, STARTUP, Check, Function, Result, Status
from .paths import Paths

if TYPE_CHECKING:
    from ..metrics import MetricsClient
    from ..settings import Settings
    from .access import Access
    from .rates import RequestRates

Registered = TypeVar("Registered", bound=Function)
State = Literal["starting", "ready", "draining"]
#: The shape of datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06, section 3.1.
Verdict = Literal["pass", "warn", "fail"]

_LEVELS = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0}
_logger = get_logger("fastapi_cloudops.health")
# The background asks no sooner than this, however short the lives of results are.
_SHORTEST_PAUSE = 0.05
_FIRST_WITHIN = 1.0


@dataclass(slots=True)
class _Slot:
    """One check, its newest result, and the run that is under way."""

    check: Check
    caller: Caller
    result: Result | None = None
    flight: "asyncio.Task[Result] | None" = None
    #: It has passed at least once.
    passed: bool = False


@dataclass(slots=True)
class _About:
    """What `/health/detailed` tells beside the checks; `instrument` fills it."""

    facts: "Callable[[], dict[str, str]]" = dict
    rates: "RequestRates | None" = None
    in_flight: Callable[[], float] = lambda: 0.0
    began: float = field(default_factory=time.monotonic)


class HealthRegistry:
    """Checks, their newest results, and whether the service starts, is ready or drains.

    A result is used again while it is fresh: `HEALTH_CHECK_INTERVAL` after a good one, `HEALTH_CHECK_RETRY_INTERVAL`
    after any other. A good one that is no longer fresh may still be told, while the next one is on its way, until it is
    `HEALTH_CHECK_EXPIRY` old; after that nobody is told it, whatever happens.

    Args:
        monotonic: Time by which results age.
        time_ns: Wall time at which they were taken.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, time_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._monotonic = monotonic
        self._time_ns = time_ns
        self._slots: dict[str, _Slot] = {}
        self.interval = 10.0
        self.retry_interval = 3.0
        self.expiry = 30.0
        self.timeout = 2.0
        self.background = True
        self.access: Access | None = None
        self.trusted_proxies: TrustedProxies = NONE
        self.redaction = Redaction()
        self.metrics: MetricsClient = metrics_client
        self.paths = Paths()
        self.in_openapi = False
        self.about = _About()
        self._starting = False
        self._holds: dict[str, None] = {}
        self._draining = False
        #: Why the process cannot go on, as the service has said; empty while it can.
        self.broken = ""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def configure(self, settings: "Settings", redaction: Redaction) -> None:
        from .access import Access  # noqa: PLC0415  # it needs settings, which those who only register checks do not

        self.redaction = redaction
        self.interval = settings.health_check_interval
        self.retry_interval = min(settings.health_check_retry_interval, self.interval)
        self.expiry = settings.health_check_expiry
        self.timeout = settings.health_check_timeout
        self.background = settings.health_check_background
        self.paths = Paths.named(settings.health_prefix, settings.health_names)
        self.in_openapi = settings.health_in_openapi
        self.trusted_proxies = TrustedProxies.parse(settings.trusted_proxies)
        self.access = Access.configured(settings)

    # Registering

    @property
    def checks(self) -> list[Check]:
        return [slot.check for slot in self._slots.values()]

    def add(
        self,
        name: str,
        function: Function,
        *,
        critical: bool | None = None,
        timeout: float | None = None,
        good_for: float | None = None,
        bad_for: float | None = None,
        tags: Iterable[str] = (READY,),
    ) -> Check:
        """Register a function, sync or async, that raises or returns False when something is wrong.

        Args:
            name: Must be new.
            function: May also return an `Answer`, or raise `Degraded`.
            critical: Whether its failure takes the service out of readiness. None: yes, unless the function itself says
                that it never is, as the check of telemetry does.
            timeout: Seconds it may take, within HEALTH_CHECK_TIMEOUT.
            good_for: Seconds for which a good answer is used again; None: HEALTH_CHECK_INTERVAL.
            bad_for: The same for other answers; None: HEALTH_CHECK_RETRY_INTERVAL.
            tags: `ready`, `startup` (has to pass once before the service is ready), and groups of your own.

        Raises:
            ValueError: There is a check of that name, or this one must not be critical.
        """
        if name in self._slots:
            raise ValueError(f"there is a health check named {name!r} already")
        never = getattr(function, "never_critical", False)
        if never and critical:
            raise ValueError(f"{name!r} must not be critical: telemetry never takes a service out")
        check = Check(
            name, function, not never if critical is None else critical, timeout, good_for, bad_for, frozenset(tags)
        )
        self._slots[name] = _Slot(check, Caller(name, function))
        return check

    def check(self, name: str, **options: object) -> Callable[[Registered], Registered]:
        """The same as `add`, as a decorator.

        Raises:
            ValueError: There is a check of that name already.
        """
        if name in self._slots:
            raise ValueError(f"there is a health check named {name!r} already")

        def register(function: Registered) -> Registered:
            self.add(name, function, **options)  # type: ignore[arg-type]  # `add` names and checks its options
            return function

        return register

    def remove(self, name: str) -> None:
        """Forget a check; one that is not there is no error."""
        self._slots.pop(name, None)

    # The service's life

    def starting(self) -> None:
        """The server has begun to start the service."""
        self._starting, self._draining = True, False

    def started(self) -> None:
        """The service's own start is over."""
        self._starting = False

    def hold(self, reason: str) -> Callable[[], None]:
        """Keep the service `starting` until the returned function is called, while a cache is filled, say."""
        self._holds[reason] = None
        return lambda: self._holds.pop(reason, None)

    def drain(self) -> None:
        """The service is going to end: readiness fails from now on. Callable from a signal handler."""
        self._draining = True

    @property
    def state(self) -> State:
        if self._draining:
            return "draining"
        waiting = any(STARTUP in slot.check.tags and not slot.passed for slot in list(self._slots.values()))
        return "starting" if self._starting or self._holds or waiting else "ready"

    @property
    def holds(self) -> list[str]:
        """What the service's start waits for, as told to `hold`."""
        return list(self._holds)

    # Asking

    async def ready(self) -> Verdict:
        """Whether requests should come here: the critical checks are waited for, the others told as far as known."""
        if self._draining or not await self.startup():
            return "fail"
        slots = self._tagged(READY)
        results = await self._gather(slot for slot in slots if slot.check.critical)
        for slot in slots:
            if not slot.check.critical:
                self._launch_if_due(slot)
                if slot.result is not None and not self._expired(slot.result):
                    results.append(slot.result)
        return verdict(results)

    async def startup(self) -> bool:
        """Whether the service has started; once that was so, it stays so."""
        if self._starting or self._holds:
            return False
        await self._gather(slot for slot in self._tagged(STARTUP) if not slot.passed)
        return self.state != "starting"

    async def results(self, tag: str | None = None) -> list[Result]:
        """Results of all checks, or of a group, in the order of their registration."""
        return await self._gather(self._tagged(tag))

    def age(self, result: Result) -> float:
        """Seconds since a result was taken."""
        return max(0.0, self._monotonic() - result.taken)

    def _tagged(self, tag: str | None) -> list[_Slot]:
        return [slot for slot in list(self._slots.values()) if tag is None or tag in slot.check.tags]

    async def _gather(self, slots: Iterable[_Slot]) -> list[Result]:
        answers: list[Result | None] = []
        flights: dict[int, asyncio.Task[Result]] = {}
        for slot in slots:
            flight = self._launch_if_due(slot)
            known = slot.result
            usable = known is not None and not self._expired(known)
            answers.append(known if usable or flight is None else None)
            if answers[-1] is None and flight is not None:
                flights[len(answers) - 1] = flight
        if flights:
            # Only waited for: a probe that is cancelled must not take the run away from the others.
            await asyncio.wait(flights.values())
            for place, flight in flights.items():
                answers[place] = flight.result() if not flight.cancelled() else None
        return [answer for answer in answers if answer is not None]

    def _life(self, result: Result) -> float:
        check = result.check
        if result.status == "healthy":
            return self.interval if check.good_for is None else check.good_for
        return self.retry_interval if check.bad_for is None else check.bad_for

    def _expired(self, result: Result) -> bool:
        life = self._life(result)
        # A failure is asked again before it is told again.
        return self.age(result) > (max(life, self.expiry) if result.status == "healthy" else life)

    def _launch_if_due(self, slot: _Slot) -> "asyncio.Task[Result] | None":
        if slot.result is not None and self.age(slot.result) <= self._life(slot.result):
            return None
        flight = slot.flight
        if flight is None or flight.done() or flight.get_loop() is not asyncio.get_running_loop():
            # A context of its own: what a check logs or counts is not on behalf of the probe that came first.
            flight = slot.flight = asyncio.get_running_loop().create_task(self._run(slot), context=Context())
        return flight

    async def _run(self, slot: _Slot) -> Result:
        check = slot.check
        within = self.timeout if check.timeout is None else min(check.timeout, self.timeout)
        answer, seconds = await slot.caller(within)
        result = Result(check, answer, seconds, self._monotonic(), self._time_ns())
        before = slot.result.status if slot.result is not None else "healthy"
        slot.result = result
        slot.passed = slot.passed or result.status != "unhealthy"
        try:
            self._tell(result, before)
        except Exception as error:  # noqa: BLE001  # telemetry never makes a healthy service unhealthy
            guard.caught("health", error)
        return result

    def _tell(self, result: Result, before: Status) -> None:
        labels = {"check": result.check.name}
        self.metrics.gauge("health_check_status", labels).set(_LEVELS[result.status])
        self.metrics.histogram("health_check_duration_seconds", labels).observe(result.seconds)
        if result.status == before:
            return
        fields: dict[str, object] = {
            "check": result.check.name,
            "critical": result.check.critical,
            "status": result.status,
            "status_before": before,
            "seconds": round(result.seconds, 6),
        }
        if result.status == "healthy":
            _logger.info("a health check passes again", **fields)
            return
        fields["reason"] = self.redaction.error(result.answer.reason)
        if result.status == "degraded":
            _logger.warning("a health check is degraded", **fields)
        elif result.check.critical:
            _logger.error("a critical health check fails", **fields)
        else:
            _logger.warning("a health check fails", **fields)

    # In the background

    def refresh_in_background(self) -> None:
        """Ask each check again when its result is no longer fresh, on the event loop that runs now, if one does."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a job without a loop, which no probe asks either
            return
        if self._timer is not None and self._loop is loop:
            return
        try:
            self.stop()
            self._loop = loop
            # Instances that start together do not ask together.
            self._arm(random.uniform(0.0, min(_FIRST_WITHIN, self.interval)))  # noqa: S311  # no secret
        except Exception as error:  # noqa: BLE001  # probes ask all the same, and the service starts
            guard.caught("health", error)

    def stop(self) -> None:
        """Ask nothing in the background any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = None

    def _arm(self, seconds: float) -> None:
        assert self._loop is not None
        # A timer, not a task that sleeps: it keeps no loop from ending, and nothing has to be cancelled.
        self._timer = self._loop.call_later(seconds, self._due)

    def _due(self) -> None:
        if self._loop is None:
            return
        pause = self.interval
        try:
            if self.about.rates is not None:
                self.about.rates.sample()
            if self.background and not self._draining:
                for slot in list(self._slots.values()):
                    if self._launch_if_due(slot) is None and slot.result is not None:
                        pause = min(pause, self._life(slot.result) - self.age(slot.result))
                    else:
                        pause = min(pause, self.retry_interval)
            self._arm(max(_SHORTEST_PAUSE, pause))
        except Exception as error:  # noqa: BLE001  # a loop's timer must not fail the loop
            guard.caught("health", error)


def verdict(results: Iterable[Result]) -> Verdict:
    """What the results come to: only a critical check can make it `fail`."""
    worst: Verdict = "pass"
    for result in results:
        if result.status == "unhealthy" and result.check.critical:
            return "fail"
        if result.status != "healthy":
            worst = "warn"
    return worst


#: The checks of this process's service.
health = HealthRegistry()
