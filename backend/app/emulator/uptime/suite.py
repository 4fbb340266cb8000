"""Uptime checks as a whole: configurations, the prober, and how both look from outside."""

from collections.abc import Callable
from typing import Any

from google.cloud.logging_v2 import types as logging_types
from google.protobuf import struct_pb2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..logging.values import format_timestamp
from ..project import Context
from .checkers import Checker
from .messages import Raw
from .probe import Outcome
from .prober import Prober, Schedule
from .service import UptimeCheckService
from .targets import Targets

_WriteLogEntriesRequest: Any = logging_types.WriteLogEntriesRequest.pb()


class Uptime:
    def __init__(
        self,
        context: Context,
        *,
        policies: Callable[[], list[Raw]],
        write: Callable[[Raw], Any],
        write_log: Callable[[Raw], Any],
        targets: Targets,
        members: Callable[[str], list[Raw]],
    ) -> None:
        self._context = context
        self._write_log = write_log
        self.service = UptimeCheckService(context, policies)
        self.prober = Prober(context, self.service, write, targets, members=members, log=self._log)
        self.services: dict[str, object] = {"google.monitoring.v3.UptimeCheckService": self.service}

    def restore(self, kind: str, record: bytes) -> None:
        self.service.restore(kind, record)

    def routes(self) -> list[Route]:
        """The emulator's own view: when each check is next made, and what the last one found."""

        async def list_checks(_: Request) -> Response:
            shown = [
                _shown(key.check, key.resource, key.checker, schedule) for key, schedule in self.prober.schedules()
            ]
            return JSONResponse({"uptimeChecks": shown})

        return [Route("/emulator/v1/uptimeChecks", list_checks, methods=["GET"])]

    def _log(self, config: Raw, resource: Raw, checker: Checker, outcome: Outcome, at: int) -> None:
        """A failed check in the log, for checks with `logCheckFailures`.

        cloud.google.com/monitoring/uptime-checks, "log check failures"; the fields of the payload are ours.
        """
        request = _WriteLogEntriesRequest(
            log_name=f"projects/{self._context.project_id}/logs/monitoring.googleapis.com%2Fuptime_checks"
        )
        entry = request.entries.add()
        entry.timestamp.FromNanoseconds(at)
        entry.severity = "ERROR"
        entry.resource.CopyFrom(resource)
        entry.labels.update({"check_id": config.name.rpartition("/")[2], "checker_location": checker.id})
        payload = struct_pb2.Struct()
        payload.update({"message": f"Uptime check {config.display_name} failed: {outcome.why}"})
        if outcome.status is not None:
            payload["httpStatus"] = outcome.status
        entry.json_payload.CopyFrom(payload)
        self._write_log(request)


def _shown(check: str, resource: str, checker: str, schedule: Schedule) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": check,
        "resource": resource,
        "checkerLocation": checker,
        "nextCheckTime": format_timestamp(schedule.due),
    }
    if schedule.note:
        shown["notMade"] = schedule.note
    if schedule.last is not None and schedule.outcome is not None:
        outcome = schedule.outcome
        shown |= {"lastCheckTime": format_timestamp(schedule.last), "passed": outcome.passed}
        shown |= {"latencyMs": round(outcome.latency_ms, 3)}
        shown |= {"why": outcome.why} if outcome.why else {}
        shown |= {"httpStatus": outcome.status} if outcome.status is not None else {}
    return shown
