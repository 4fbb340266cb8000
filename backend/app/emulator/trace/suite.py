"""Cloud Trace as a whole: both versions of its service, the console's routes, what it takes back from the journal."""

from typing import TYPE_CHECKING

from ..project import Context
from .http_api import routes
from .service import Traces, TraceServiceV1, TraceServiceV2

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class CloudTrace:
    def __init__(self, context: Context) -> None:
        self.traces = Traces(context)
        self.services: dict[str, object] = {
            "google.devtools.cloudtrace.v1.TraceService": TraceServiceV1(self.traces),
            "google.devtools.cloudtrace.v2.TraceService": TraceServiceV2(self.traces),
        }
        self.restore = self.traces.restore

    def routes(self) -> "list[BaseRoute]":
        return routes(self.traces)
