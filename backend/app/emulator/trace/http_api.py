"""Traces for the console: what v1 leaves out (events, links, status) and one line a trace. Emulator only."""

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..clock import NANOS
from ..status import ApiError, invalid, not_found
from ..transport.json_wire import error_response, json_response
from .convert import labels_of, text_of
from .filter import in_order, parse_filter
from .names import check_trace_id
from .service import Traces
from .store import Trace, nanos

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_MOST_TRACES = 500
_MOST_SPANS = 5000
# OpenTelemetry's name and those of Google's older clients.
_STATUS_CODES = ("http.response.status_code", "http.status_code", "/http/status_code")
_SERVICES = ("service.name", "g.co/gae/app/module")


def routes(traces: Traces) -> "list[BaseRoute]":
    """`/emulator/v1/traces?filter=&limit=` (the filter language of ListTraces) and `/emulator/v1/traces/{id}`."""

    async def list_all(request: Request) -> Response:
        try:
            return json_response(_list(traces, request), pretty=False)
        except ApiError as error:
            return error_response(error)

    async def get(request: Request) -> Response:
        try:
            return json_response(_get(traces, request.path_params["trace_id"]), pretty=False)
        except ApiError as error:
            return error_response(error)

    return [
        Route("/emulator/v1/traces", list_all, methods=["GET"]),
        Route("/emulator/v1/traces/{trace_id}", get, methods=["GET"]),
    ]


def _list(traces: Traces, request: Request) -> dict[str, Any]:
    limit = request.query_params.get("limit", "100")
    if not limit.isdecimal() or len(limit) > len(str(_MOST_TRACES)) or not 0 < int(limit) <= _MOST_TRACES:
        raise invalid(f"limit must be a number from 1 to {_MOST_TRACES}.")
    matches = parse_filter(request.query_params.get("filter", ""))
    found = [trace for trace in traces.store.all(traces.context.clock.now()) if matches(trace)]
    chosen = in_order(found, request.query_params.get("order_by", ""))[: int(limit)]
    return {"traces": [_summary(trace) for trace in chosen], "found": len(found)}


def _summary(trace: Trace) -> dict[str, Any]:
    root = trace.root
    labels = labels_of(root)
    spans = trace.spans.values()
    services = sorted({name for span in spans for name in (_first(labels_of(span), _SERVICES),) if name})
    return {
        "traceId": trace.trace_id,
        "name": root.display_name.value,
        "start": trace.first / NANOS,
        "seconds": (trace.last - trace.first) / NANOS,
        "spans": len(trace.spans),
        "errors": sum(bool(span.status.code) for span in spans),
        "httpStatus": _first(labels, _STATUS_CODES),
        "services": services,
    }


def _get(traces: Traces, trace_id: str) -> dict[str, Any]:
    trace = traces.store.get(check_trace_id(trace_id), traces.context.clock.now())
    if trace is None:
        raise not_found(f"Requested entity was not found: there is no trace {trace_id}.")
    spans = sorted(trace.spans.values(), key=lambda span: nanos(span.start_time))
    return {
        **_summary(trace),
        "name": trace.root.display_name.value,
        "trace": f"projects/{traces.context.project_id}/traces/{trace.trace_id}",
        "spanList": [_span(span) for span in spans[:_MOST_SPANS]],
        "omitted": max(0, len(spans) - _MOST_SPANS),
    }


def _span(span: Any) -> dict[str, Any]:
    labels = labels_of(span)
    return {
        "spanId": span.span_id,
        "parentSpanId": span.parent_span_id,
        "name": span.display_name.value,
        "kind": _KINDS.get(span.span_kind, ""),
        "start": nanos(span.start_time) / NANOS,
        "seconds": max(0, nanos(span.end_time) - nanos(span.start_time)) / NANOS,
        "service": _first(labels, _SERVICES),
        "status": json_format.MessageToDict(span.status),
        "labels": labels,
        "events": [
            {
                "time": nanos(event.time) / NANOS,
                "name": event.annotation.description.value,
                "labels": {
                    key: text_of(value) for key, value in sorted(event.annotation.attributes.attribute_map.items())
                },
            }
            for event in span.time_events.time_event
            if event.HasField("annotation")
        ],
        "links": [{"traceId": link.trace_id, "spanId": link.span_id} for link in span.links.link],
    }


_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


def _first(labels: dict[str, str], keys: tuple[str, ...]) -> str:
    return next((labels[key] for key in keys if labels.get(key)), "")
