"""Checks made when they are due: the emulator's clock says when, nothing here waits."""

import asyncio
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.api import monitored_resource_pb2

from ..alerting.limits import seconds
from ..clock import NANOS
from ..project import Context
from ..status import ApiError
from .checkers import Checker, checkers_of
from .messages import CreateTimeSeriesRequest, Raw
from .probe import Outcome, probe
from .results import resource_id, write_into
from .service import UptimeCheckService
from .targets import NotAllowedError, Targets

_TICK_SECONDS = 0.25
_AT_ONCE = 20
# CreateTimeSeries takes 200 series a call; a check has at most six.
_CHECKS_A_CALL = 30


class _Key(NamedTuple):
    check: str
    resource: str
    checker: str


@dataclass(slots=True)
class Schedule:
    """One check of one resource from one place."""

    due: int
    """Nanoseconds since the epoch."""
    config: Raw
    last: int | None = None
    outcome: Outcome | None = None
    note: str = ""
    """Why it is not made, empty when it is."""


class _Due(NamedTuple):
    key: _Key
    config: Raw
    resource: Raw
    checker: Checker


class Prober:
    def __init__(
        self,
        context: Context,
        service: UptimeCheckService,
        write: Callable[[Raw], Any],
        targets: Targets,
        *,
        members: Callable[[str], list[Raw]] = lambda _: [],
        log: Callable[[Raw, Raw, Checker, Outcome, int], None] | None = None,
    ) -> None:
        """`write` takes a CreateTimeSeriesRequest; `members` answers the resources of a group by its id."""
        self._context = context
        self._service = service
        self._write = write
        self._targets = targets
        self._members = members
        self._log = log
        self._schedules: dict[_Key, Schedule] = {}
        self._lock = asyncio.Lock()
        self._told: set[str] = set()

    async def run(self) -> None:
        """Make what is due until cancelled; a step that fails is told on stderr and the next one is taken."""
        while True:
            try:
                await self.step()
            except Exception:  # noqa: BLE001  # a bug in one step must not end the checks of the whole session
                sys.stderr.write(f"A step of the uptime checks failed:\n{traceback.format_exc()}")
            await asyncio.sleep(_TICK_SECONDS)

    async def step(self) -> int:
        """Make the checks that are due by the clock, each once however late it is; answers how many."""
        async with self._lock:
            now = self._context.clock.now()
            due = self._due(now)
            if not due:
                return 0
            places = asyncio.Semaphore(_AT_ONCE)
            outcomes = await asyncio.gather(*(self._probe(one, places, now) for one in due))
            made = [(one, outcome) for one, outcome in zip(due, outcomes, strict=True) if outcome is not None]
            for first in range(0, len(made), _CHECKS_A_CALL):
                self._keep(made[first : first + _CHECKS_A_CALL], now)
            return len(made)

    def schedules(self) -> list[tuple[_Key, Schedule]]:
        return list(self._schedules.items())

    def _due(self, now: int) -> list[_Due]:
        found: list[_Due] = []
        known: set[_Key] = set()
        for config in self._service.checks():
            for resource in self._resources(config):
                for checker in checkers_of(config.selected_regions):
                    key = _Key(config.name, resource_id(resource), checker.id)
                    known.add(key)
                    schedule = self._schedules.get(key)
                    if schedule is None or schedule.config != config:
                        schedule = self._schedules[key] = Schedule(now, config)
                    if schedule.due <= now:
                        period = round(seconds(config.period) * NANOS)
                        # On its own grid, so that a clock that steps past several periods does not shift it.
                        schedule.due += ((now - schedule.due) // period + 1) * period
                        found.append(_Due(key, config, resource, checker))
        self._schedules = {key: one for key, one in self._schedules.items() if key in known}
        return found

    def _resources(self, config: Raw) -> list[Raw]:
        if config.HasField("monitored_resource"):
            return [config.monitored_resource]
        if config.HasField("resource_group"):
            try:
                return self._members(config.resource_group.group_id)
            except ApiError:
                return []
        self._tell(config, "synthetic monitors are kept, the emulator runs no functions")
        return []

    async def _probe(self, due: _Due, places: asyncio.Semaphore, now: int) -> Outcome | None:
        schedule = self._schedules[due.key]
        async with places:
            try:
                outcome = await probe(
                    due.config, resource_id(due.resource), self._targets, self._context.project_number, now
                )
            except NotAllowedError as error:
                schedule.note = str(error)
                self._tell(due.config, str(error))
                return None
        schedule.last, schedule.outcome, schedule.note = now, outcome, ""
        return outcome

    def _keep(self, made: list[tuple[_Due, Outcome]], now: int) -> None:
        request = CreateTimeSeriesRequest(name=f"projects/{self._context.project_id}")
        for due, outcome in made:
            resource = monitored_resource_pb2.MonitoredResource()
            resource.CopyFrom(due.resource)
            check_id = due.config.name.rpartition("/")[2]
            write_into(request, check_id, due.checker, resource=resource, outcome=outcome, at=now)
        try:
            self._write(request)
        except ApiError as error:
            sys.stderr.write(f"Results of uptime checks were refused: {error.message}\n")
        if self._log is not None:
            for due, outcome in made:
                if not outcome.passed and self._service.logs_failures(due.config.name):
                    self._log(due.config, due.resource, due.checker, outcome, now)

    def _tell(self, config: Raw, why: str) -> None:
        if config.name not in self._told:
            self._told.add(config.name)
            sys.stderr.write(f'Uptime check "{config.display_name}" is not made: {why}.\n')
