"""`/control`: how a test steers the emulator. No API of Google's has these paths."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..clock import NANOS, Clock, FastClock, ManualClock
from ..logging.values import format_timestamp
from ..status import ApiError, Code, invalid, not_found
from ..transport.json_wire import error_response, json_response, read_json
from .plan import Faults

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_LONGEST_STEP = 400 * 86_400.0


# Alert policies are evaluated every 30 s by default: a clock that steps further at once would skip what they see.
_STEP_SECONDS = 30.0
_MOST_STEPS = 20_000


async def _nothing() -> None:
    pass


def routes(faults: Faults, clock: Clock, on_step: Callable[[], Awaitable[object]] = _nothing) -> "list[BaseRoute]":
    """`on_step` is awaited whenever the clock was moved: what is due happens before the answer."""

    async def list_faults(_: Request) -> Any:
        return {"faults": [fault.as_json() for fault in faults.all()]}

    async def add_fault(request: Request) -> Any:
        return faults.add(await read_json(request)).as_json()

    async def delete_faults(_: Request) -> Any:
        return {"deleted": faults.delete()}

    async def delete_fault(request: Request) -> Any:
        wanted = request.path_params["fault"]
        if not faults.delete(wanted):
            raise not_found(f"There is no fault {wanted}.")
        return {"deleted": 1}

    async def get_clock(_: Request) -> Any:
        return _told(clock)

    async def advance(request: Request) -> Any:
        if not isinstance(clock, ManualClock):
            raise ApiError(
                Code.FAILED_PRECONDITION,
                "The emulator runs on a clock that nobody can advance; start it with --clock manual.",
            )
        seconds, step = _steps(await read_json(request))
        target = clock.now() + round(seconds * NANOS)
        while (left := target - clock.now()) > 0:
            clock.advance(min(step, left / NANOS))
            await on_step()
        return _told(clock)

    return [
        Route("/control/faults", _answered(list_faults), methods=["GET"]),
        Route("/control/faults", _answered(add_fault), methods=["POST"]),
        Route("/control/faults", _answered(delete_faults), methods=["DELETE"]),
        Route("/control/faults/{fault:int}", _answered(delete_fault), methods=["DELETE"]),
        Route("/control/clock", _answered(get_clock), methods=["GET"]),
        Route("/control/clock/advance", _answered(advance), methods=["POST"]),
    ]


def _told(clock: Clock) -> dict[str, Any]:
    now = clock.now()
    told: dict[str, Any] = {"now": format_timestamp(now), "nanoseconds": str(now), "mode": "real"}
    if isinstance(clock, ManualClock):
        told["mode"] = "manual"
    elif isinstance(clock, FastClock):
        told |= {"mode": "fast", "rate": clock.rate}
    return told


def _steps(body: Any) -> tuple[float, float]:
    """How far to go, and how far at once."""
    if not isinstance(body, dict) or "seconds" not in body or not set(body) <= {"seconds", "step"}:
        raise invalid('Send {"seconds": N}, and with it "step" for how many of them to go at once.')
    seconds = _number(body["seconds"], "seconds", 0.0)
    smallest = seconds / _MOST_STEPS
    if "step" not in body:
        return seconds, max(_STEP_SECONDS, smallest)
    return seconds, _number(body["step"], "step", max(0.001, smallest))


def _number(value: Any, name: str, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= _LONGEST_STEP:
        raise invalid(f'"{name}" must be a number from {least:g} to {_LONGEST_STEP:g}.')
    return float(value)


def _answered(call: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return json_response(await call(request))
        except ApiError as error:
            return error_response(error)

    return answer
