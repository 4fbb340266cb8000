"""The trace of a request as Google's front end hands it on.

W3C traceparent (w3.org/TR/trace-context) and X-Cloud-Trace-Context (docs.cloud.google.com/trace/docs/trace-context).
"""

import re
import secrets
from typing import NamedTuple

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_CLOUD = re.compile(r"(?!0{32})([0-9a-fA-F]{32})(?:/(\d{1,20}))?(?:;o=(\d))?")


class TraceContext(NamedTuple):
    trace: str
    span: str
    """Of the front end itself: the parent of what the service makes."""
    sampled: bool

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        flag = int(self.sampled)
        return [
            (b"traceparent", f"00-{self.trace}-{self.span}-0{flag}".encode()),
            (b"X-Cloud-Trace-Context", f"{self.trace}/{int(self.span, 16)};o={flag}".encode()),
        ]


def trace_context(traceparent: str, cloud: str, *, sample: bool) -> TraceContext:
    """The trace that the caller named, else a new one, which `sample` decides about."""
    span = f"{secrets.randbits(63) | 1:016x}"
    if match := _TRACEPARENT.fullmatch(traceparent.strip()):
        return TraceContext(match[1], span, bool(int(match[3], 16) & 1))
    if match := _CLOUD.fullmatch(cloud.strip()):
        return TraceContext(match[1].lower(), span, match[3] == "1" if match[3] else sample)
    return TraceContext(secrets.token_hex(16), span, sample)
