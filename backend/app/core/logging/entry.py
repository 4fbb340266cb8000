"""The parts of a log entry that the access log and log calls share, in Cloud Logging's special-field format.

Source of the names: cloud.google.com/logging/docs/structured-logging#special-payload-fields.
"""

import time
from dataclasses import dataclass, field
from itertools import count
from json.encoder import encode_basestring_ascii as quote
from random import getrandbits
from typing import Final

import orjson

from ..runtime import Runtime

TRACE: Final = "logging.googleapis.com/trace"
SPAN_ID: Final = "logging.googleapis.com/spanId"
TRACE_SAMPLED: Final = "logging.googleapis.com/trace_sampled"
#: `at_end`: the flag is not the last word; the request's access entry has it.
TRACE_DECISION: Final = "trace_decision"
LABELS: Final = "logging.googleapis.com/labels"
INSERT_ID: Final = "logging.googleapis.com/insertId"
SOURCE_LOCATION: Final = "logging.googleapis.com/sourceLocation"


@dataclass(frozen=True)
class Identity:
    """Who writes: the same in every entry of one app, so that it is rendered once."""

    service: str
    version: str
    environment: str
    runtime: Runtime
    commit: str = ""
    worker: str = ""
    constants: dict[str, object] = field(init=False)
    rendered: str = field(init=False)
    trace_prefix: str = field(init=False)
    trace_field: str = field(init=False)

    def __post_init__(self) -> None:
        labels = {
            "service": self.service,
            "environment": self.environment,
            "version": self.version,
            "revision": self.runtime.revision,
            "commit": self.commit,
            "instance": self.runtime.instance,
            "worker": self.worker,
        }
        service_context = {"service": self.service, **({"version": self.version} if self.version else {})}
        constants = {
            LABELS: {name: value for name, value in labels.items() if value},
            "serviceContext": service_context,
        }
        project = self.runtime.project
        object.__setattr__(self, "constants", constants)
        object.__setattr__(self, "rendered", orjson.dumps(constants).decode()[1:-1])
        # A bare trace id is taken too, but links only inside the project that owns the log.
        object.__setattr__(self, "trace_prefix", f"projects/{project}/traces/" if project else "")
        object.__setattr__(self, "trace_field", f',{quote(TRACE)}:"{self.trace_prefix}')


class InsertIds:
    """Ids of entries: unique, and sorted as they were written, which orders entries of one time."""

    __slots__ = ("_count", "_prefix")

    def __init__(self) -> None:
        # Made at the first entry, not before a fork: two workers must not share it.
        self._prefix = ""
        self._count = count()

    def next(self) -> str:
        if not self._prefix:
            self._prefix = getrandbits(64).to_bytes(8).hex()
        return self._prefix + next(self._count).to_bytes(5).hex()


class Timestamps:
    """RFC 3339 with nanoseconds; the seconds are formatted once a second."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        # One tuple, replaced as a whole: two threads never see the text of one second with the number of another.
        self._known = ("", "")

    def render(self, nanoseconds: int) -> str:
        digits = str(nanoseconds)
        if len(digits) < 10:  # noqa: PLR2004  # the first second of the epoch
            digits = digits.zfill(10)
        second = digits[:-9]
        known, prefix = self._known
        if second != known:
            prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(int(second)))
            self._known = (second, prefix)
        return f"{prefix}{digits[-9:]}Z"
