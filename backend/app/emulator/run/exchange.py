"""One request through the front, as the platform's request log and metrics see it."""

import json
from typing import Any, NamedTuple

from ..clock import NANOS


class Exchange(NamedTuple):
    method: str
    url: str
    status: int
    began: int
    """Nanoseconds since the epoch."""
    latency: int
    """Nanoseconds."""
    request_bytes: int
    response_bytes: int
    remote_ip: str
    server_ip: str
    user_agent: str
    referer: str
    protocol: str
    trace: str
    span: str
    sampled: bool
    instance_id: str
    """Empty when the request reached no instance."""
    problem: str = ""

    def entry(self, project: str) -> bytes:
        """The line that becomes an entry of run.googleapis.com/requests.

        The severity follows the status, as request logs of Cloud Run show it: 4xx are warnings, 5xx errors.
        """
        request: dict[str, Any] = {
            "requestMethod": self.method,
            "requestUrl": self.url,
            "requestSize": str(self.request_bytes),
            "status": self.status,
            "responseSize": str(self.response_bytes),
            "remoteIp": self.remote_ip,
            "serverIp": self.server_ip,
            "latency": f"{self.latency / NANOS:.9f}s",
            "protocol": self.protocol,
        }
        request |= {"userAgent": self.user_agent} if self.user_agent else {}
        request |= {"referer": self.referer} if self.referer else {}
        line: dict[str, Any] = {
            "severity": "ERROR" if self.status >= 500 else "WARNING" if self.status >= 400 else "INFO",  # noqa: PLR2004
            "httpRequest": request,
            "logging.googleapis.com/trace": f"projects/{project}/traces/{self.trace}",
            "logging.googleapis.com/spanId": self.span,
            "timestampSeconds": self.began // NANOS,
            "timestampNanos": self.began % NANOS,
        }
        line |= {"logging.googleapis.com/trace_sampled": True} if self.sampled else {}
        line |= {"logging.googleapis.com/labels": {"instanceId": self.instance_id}} if self.instance_id else {}
        line |= {"message": self.problem} if self.problem else {}
        return json.dumps(line, ensure_ascii=False).encode(errors="replace")
