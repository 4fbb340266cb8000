"""Request ids and trace context beyond one HTTP request: sent on to services we name, picked up where work arrives.

What needs no other library is here. `propagation.httpx`, `.requests`, `.aiohttp` and `.grpc` each need the library of
that name, and are imported by those who use it.
"""

from .headers import cloud_task_headers, outgoing_headers, pubsub_attributes
from .hosts import AllowedHosts
from .incoming import Origin, delivery_fields, from_headers, from_pubsub_message, from_pubsub_push
from .jobs import RequestScope, request_context

__all__ = [
    "AllowedHosts",
    "Origin",
    "RequestScope",
    "cloud_task_headers",
    "delivery_fields",
    "from_headers",
    "from_pubsub_message",
    "from_pubsub_push",
    "outgoing_headers",
    "pubsub_attributes",
    "request_context",
]
