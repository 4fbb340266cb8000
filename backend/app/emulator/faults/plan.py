"""Injected faults: what a client must survive, on demand, for any method of any service.

Emulator only: no API of Google's has this.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from google.rpc.error_details_pb2 import ErrorInfo

from ..clock import NANOS, Clock
from ..status import ApiError, Code, invalid
from .parts_of_calls import without_recent, write_in_part

KINDS = ("quota", "unavailable", "slow", "partial", "permission", "visibility_delay")
# The two kinds that look into a call know these methods.
_LIMITED = {
    "partial": frozenset(
        {
            "google.logging.v2.LoggingServiceV2.WriteLogEntries",
            "google.monitoring.v3.MetricService.CreateTimeSeries",
            "google.monitoring.v3.MetricService.CreateServiceTimeSeries",
        }
    ),
    "visibility_delay": frozenset(
        {
            "google.logging.v2.LoggingServiceV2.ListLogEntries",
            "google.monitoring.v3.MetricService.ListTimeSeries",
        }
    ),
}
_LONGEST = 3600.0
_MOST_FAULTS = 1000


@dataclass(slots=True)
class Fault:
    """What happens to which calls, and how often.

    `method` is a pattern over full names (`google.logging.v2.*`, `*.WriteLogEntries`). It ends after `count` calls or
    `seconds` of the emulated clock, whichever comes first; with neither it stays until it is deleted.
    """

    method: str
    kind: str
    count: int | None = None
    seconds: float | None = None
    probability: float = 1.0
    seed: int = 0
    delay_seconds: float = 1.0
    """How long a slow call waits (real seconds), or how old data must be to be seen (emulated seconds)."""
    message: str = ""
    id: int = 0
    used: int = 0
    ends: int | None = None
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def as_json(self) -> dict[str, Any]:
        told = asdict(self)
        for hidden in ("_random", "ends"):
            del told[hidden]
        return {key: value for key, value in told.items() if value is not None}


class Faults:
    """The faults that are waiting; both wires ask before they call a service."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._faults: list[Fault] = []
        self._last_id = 0

    def add(self, given: Any) -> Fault:
        """Take a fault in JSON.

        Raises:
            ApiError: INVALID_ARGUMENT that names the wrong field.
        """
        fault = _read(given)
        if len(self._faults) >= _MOST_FAULTS:
            raise invalid(f"There are {_MOST_FAULTS} faults already; delete some.")
        self._last_id += 1
        fault.id = self._last_id
        fault._random.seed(fault.seed)  # noqa: SLF001  # its maker sets it up
        if fault.seconds is not None:
            fault.ends = self._clock.now() + round(fault.seconds * NANOS)
        self._faults.append(fault)
        return fault

    def all(self) -> list[Fault]:
        self._drop_ended()
        return list(self._faults)

    def delete(self, fault_id: int | None = None) -> int:
        """Take back one fault, or all of them; how many there were."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault_id not in {None, fault.id}]
        return before - len(self._faults)

    async def around(self, method: str, call: Callable[[Any], Any], request: Any) -> Any:
        """Answer a call, with the first fault that wants it."""
        if not self._faults:
            return call(request)
        fault = self._take(method)
        if fault is None:
            return call(request)
        match fault.kind:
            case "slow":
                await asyncio.sleep(fault.delay_seconds)
                return call(request)
            case "partial":
                return write_in_part(call, request, fault.message or "Injected fault: this part was not written.")
            case "visibility_delay":
                return without_recent(call(request), self._clock.now() - round(fault.delay_seconds * NANOS))
        raise _error(fault, method)

    async def before(self, method: str) -> None:
        """As `around`, for a stream: only its beginning can fail or be slow."""
        await self.around(method, lambda _: None, None)

    def _take(self, method: str) -> Fault | None:
        self._drop_ended()
        for fault in self._faults:
            if not fnmatchcase(method, fault.method) or method not in _LIMITED.get(fault.kind, {method}):
                continue
            if fault._random.random() >= fault.probability:  # noqa: SLF001  # the fault's own dice
                continue
            fault.used += 1
            return fault
        return None

    def _drop_ended(self) -> None:
        now = self._clock.now()
        self._faults = [
            fault
            for fault in self._faults
            if (fault.count is None or fault.used < fault.count) and (fault.ends is None or now < fault.ends)
        ]


_NUMBER = (int, float)
_FIELDS: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "kind": (str,),
    "count": (int,),
    "seconds": _NUMBER,
    "probability": _NUMBER,
    "seed": (int,),
    "delay_seconds": _NUMBER,
    "message": (str,),
}


def _read(given: Any) -> Fault:
    if not isinstance(given, Mapping):
        raise invalid("A fault is a JSON object.")
    for key, value in given.items():
        if key not in _FIELDS:
            raise invalid(f"A fault has no field '{key}', only {', '.join(_FIELDS)}.")
        if isinstance(value, bool) or not isinstance(value, _FIELDS[key]):
            raise invalid(f"The field '{key}' of a fault has the wrong type.")
    for key in ("method", "kind"):
        if not given.get(key):
            raise invalid(f"A fault needs the field '{key}'.")
    fault = Fault(**given)
    _check(fault)
    return fault


def _check(fault: Fault) -> None:
    if fault.kind not in KINDS:
        raise invalid(f"There is no fault of kind '{fault.kind}', only {', '.join(KINDS)}.")
    limited = _LIMITED.get(fault.kind)
    if limited is not None and not any(fnmatchcase(method, fault.method) for method in limited):
        raise invalid(f"A fault of kind '{fault.kind}' is possible for {', '.join(sorted(limited))}.")
    if fault.count is not None and fault.count < 1:
        raise invalid("The field 'count' of a fault must be at least 1.")
    if not 0 < fault.probability <= 1:
        raise invalid("The field 'probability' of a fault must be greater than 0 and at most 1.")
    for name, seconds in (("seconds", fault.seconds), ("delay_seconds", fault.delay_seconds)):
        if seconds is not None and not 0 < seconds <= _LONGEST:
            raise invalid(f"The field '{name}' of a fault must be greater than 0 and at most {_LONGEST:g}.")


def _error(fault: Fault, method: str) -> ApiError:
    """Reasons and domain of the details: google/api/error_reason.proto."""
    service = ".".join(method.split(".")[:-1])
    if fault.kind == "quota":
        info = ErrorInfo(reason="RATE_LIMIT_EXCEEDED", domain="googleapis.com", metadata={"service": service})
        message = (
            fault.message or f"Quota exceeded for quota metric 'Requests' of service '{service}' (injected fault)."
        )
        return ApiError(Code.RESOURCE_EXHAUSTED, message, info)
    if fault.kind == "permission":
        info = ErrorInfo(reason="IAM_PERMISSION_DENIED", domain="iam.googleapis.com", metadata={"service": service})
        message = fault.message or "Permission denied on resource, or it may not exist (injected fault)."
        return ApiError(Code.PERMISSION_DENIED, message, info)
    return ApiError(Code.UNAVAILABLE, fault.message or "The service is currently unavailable (injected fault).")
