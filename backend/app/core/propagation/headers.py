"""What the current request sends along: its id, and our span as the parent of what others do for it.

`tracestate` and `baggage` are not copied: www.w3.org/TR/trace-context/ allows to drop the first, and the second carries
whatever a client wrote.
"""

from collections.abc import MutableMapping
from typing import Any, Final

from ..context import RequestContext, current
from .hosts import AllowedHosts, Hosts, allowed_hosts

TRACEPARENT: Final = "traceparent"
REQUEST_ID: Final = "x-request-id"

# Pub/Sub's own clients keep the trace under this name (googleapis/python-pubsub,
# google/cloud/pubsub_v1/open_telemetry/context_propagation.py). The service lets it pass although it refuses other
# keys that begin with "goog" (googleapis/nodejs-pubsub#1389).
PUBSUB_TRACEPARENT: Final = "googclient_traceparent"
PUBSUB_REQUEST_ID: Final = "request_id"


class Ours(str):
    """The value of a header that we have set, so that a redirect can take off ours and leave the user's."""

    __slots__ = ()


def traceparent(context: RequestContext) -> str:
    """www.w3.org/TR/trace-context/#traceparent-header, version 00."""
    trace_id, span_id, sampled = context.innermost
    return f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"


def outgoing_headers(host: str | None = None, hosts: Hosts = ()) -> dict[str, str]:
    """`traceparent` and `x-request-id` of the current request; empty outside of one.

    Args:
        host: Host name the headers would go to. None: the caller answers for where they go.
        hosts: Who may have them, when a host is given.
    """
    context = current.get()
    if context is None or (host is not None and host not in allowed_hosts(hosts)):
        return {}
    return {TRACEPARENT: traceparent(context), REQUEST_ID: context.request_id}


def pass_on(headers: MutableMapping[str, Any], host: str | None, hosts: AllowedHosts) -> None:
    """Put our headers on a request, or take those of the hop before off; what the user has set stays.

    The mapping ignores the case of its keys and keeps its values as they are.
    """
    for name in (TRACEPARENT, REQUEST_ID):
        if isinstance(headers.get(name), Ours):
            del headers[name]
    if host is not None:
        for name, value in outgoing_headers(host, hosts).items():
            headers.setdefault(name, Ours(value))


def pubsub_attributes() -> dict[str, str]:
    """Attributes for a Pub/Sub message: `publisher.publish(topic, data, **pubsub_attributes())`.

    A publisher with its own OpenTelemetry tracing switched on writes its span over ours. Empty outside of a request.
    """
    context = current.get()
    if context is None:
        return {}
    return {PUBSUB_TRACEPARENT: traceparent(context), PUBSUB_REQUEST_ID: context.request_id}


def cloud_task_headers() -> dict[str, str]:
    """Headers for the `http_request` of a Cloud Tasks task, which sends them with every attempt.

    Source: google/cloud/tasks/v2/target.proto, `HttpRequest.headers`. Empty outside of a request.
    """
    return outgoing_headers()
