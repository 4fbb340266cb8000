"""Incidents as `projects.alerts` answers them, and the emulator's own view of evaluations and notifications.

The first is REST only: google.monitoring.v3 has no published gRPC service for it
(cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alerts).
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..clock import NANOS
from ..names import require_project
from ..paging import page_of
from ..project import Context
from ..status import ApiError, invalid_field, not_found
from ..transport.json_wire import error_response
from .evaluator import AlertEvaluator
from .incidents import Incident, Incidents
from .listing import select_plain
from .messages import AlertPolicy
from .notify import Delivery, Notifier
from .observed import metadata, without_metadata

_DEFAULT_PAGE = 50
_LARGEST_PAGE = 1000


def routes(
    context: Context,
    incidents: Incidents,
    evaluator: AlertEvaluator,
    notifier: Notifier,
    sent_codes: Callable[[], list[tuple[str, str, int]]] = list,
) -> list[Route]:
    async def list_alerts(request: Request) -> Response:
        require_project(f"projects/{request.path_params['project']}", context.project_id, context.project_number)
        query = request.query_params
        found = _ordered(incidents.all(), query.get("orderBy", ""))
        alerts = select_plain([alert(context, one) for one in found], query.get("filter", ""))
        page, token = page_of(alerts, _page_size(query.get("pageSize", "")), query.get("pageToken", ""), _LARGEST_PAGE)
        answer: dict[str, Any] = {"alerts": page, "totalSize": len(alerts), "nextPageToken": token}
        return JSONResponse({key: value for key, value in answer.items() if value})

    async def get_alert(request: Request) -> Response:
        require_project(f"projects/{request.path_params['project']}", context.project_id, context.project_number)
        incident = incidents.get(request.path_params["alert"])
        if incident is None:
            raise not_found(f"Could not find alert {request.path_params['alert']}.")
        return JSONResponse(alert(context, incident))

    async def list_notifications(_: Request) -> Response:
        return JSONResponse({"notifications": [delivery_json(one) for one in notifier.deliveries()]})

    async def list_codes(_: Request) -> Response:
        shown = [{"channel": name, "code": code, "expireTime": timestamp(at)} for name, code, at in sent_codes()]
        return JSONResponse({"verificationCodes": shown})

    async def list_evaluations(_: Request) -> Response:
        return JSONResponse({"evaluations": [_timed(one) for one in evaluator.evaluations()]})

    return [
        Route("/v3/projects/{project}/alerts", _answering(list_alerts), methods=["GET"]),
        Route("/v3/projects/{project}/alerts/{alert}", _answering(get_alert), methods=["GET"]),
        Route("/emulator/v1/notifications", list_notifications, methods=["GET"]),
        Route("/emulator/v1/verificationCodes", list_codes, methods=["GET"]),
        Route("/emulator/v1/evaluations", list_evaluations, methods=["GET"]),
    ]


def _answering(handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            response: Response = await handler(request)
        except ApiError as error:
            return error_response(error, pretty=False)
        return response

    return answer


def alert(context: Context, incident: Incident) -> dict[str, Any]:
    """The `Alert` resource."""
    policy: dict[str, Any] = {
        "name": incident.policy.name,
        "displayName": incident.policy.display_name,
        "userLabels": dict(incident.policy.user_labels),
    }
    if incident.policy.severity:
        policy["severity"] = AlertPolicy.Severity.Name(incident.policy.severity)
    shown = {
        "name": f"projects/{context.project_id}/alerts/{incident.id}",
        "state": incident.state.upper(),
        "openTime": timestamp(incident.opened_at),
        "resource": {"type": incident.resource_type, "labels": without_metadata(incident.resource_labels)},
        "metadata": {
            kind: labels
            for kind, name in (("systemLabels", "system_labels"), ("userLabels", "user_labels"))
            if (labels := metadata(incident.resource_labels, name))
        },
        "metric": {"type": incident.metric_type, "labels": incident.metric_labels},
        "log": {"extractedLabels": incident.extracted} if incident.extracted else {},
        "policy": policy,
    }
    if incident.closed_at is not None:
        shown["closeTime"] = timestamp(incident.closed_at)
    return shown


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    plain = {key: value for key, value in asdict(delivery).items() if key not in {"attempts", "created_at", "due_at"}}
    attempts = [
        {"time": timestamp(one.at), "statusCode": one.status_code, "error": one.error} for one in delivery.attempts
    ]
    renamed = {
        "incident_id": "incidentId",
        "channel_type": "channelType",
        "channel_display_name": "channelDisplayName",
    }
    shown = {renamed.get(key, key): value for key, value in plain.items()}
    shown |= {"createTime": timestamp(delivery.created_at), "attempts": attempts}
    return shown | ({"nextAttemptTime": timestamp(delivery.due_at)} if delivery.status == "waiting" else {})


def _timed(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The same with RFC 3339 in place of nanoseconds."""
    conditions = [
        {key: value for key, value in one.items() if key not in {"last", "next"}}
        | {
            "lastEvaluationTime": one["last"] and timestamp(one["last"]),
            "nextEvaluationTime": one["next"] and timestamp(one["next"]),
        }
        for one in evaluation["conditions"]
    ]
    return evaluation | {"conditions": conditions}


def timestamp(nanos: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(nanos // NANOS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos % NANOS // 1_000_000:03d}Z"


def _page_size(text: str) -> int:
    try:
        size = int(text or 0)
    except ValueError:
        raise invalid_field("page_size", "must be a number.", text) from None
    return size if size > 0 else _DEFAULT_PAGE


def _ordered(incidents: list[Incident], order_by: str) -> list[Incident]:
    """`openTime desc` when nothing is asked; `openTime` and `closeTime` are the fields the reference names."""
    result = list(incidents)
    for entry in reversed([part.split() for part in (order_by or "openTime desc").split(",")]):
        field, direction = [*entry, "", ""][:2]
        if field not in {"openTime", "open_time", "closeTime", "close_time"} or direction not in {"", "asc", "desc"}:
            raise invalid_field("order_by", "must be openTime or closeTime, with or without desc.", order_by)
        by_open = field.startswith("open")
        result.sort(
            key=lambda one: one.opened_at if by_open else (one.closed_at or 0),  # used in this turn only
            reverse=direction == "desc",
        )
    return result
