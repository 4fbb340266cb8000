"""`/control`: how a test steers the emulator. No API of Google's has these paths."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..clock import Clock, ManualClock
from ..logging.values import format_timestamp
from ..status import ApiError, Code, invalid, not_found
from ..transport.json_wire import error_response, json_response, read_json
from .plan import Faults

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_LONGEST_STEP = 400 * 86_400.0


def routes(faults: Faults, clock: Clock) -> "list[BaseRoute]":
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
            raise ApiError(Code.FAILED_PRECONDITION, "The emulator runs on real time, which nobody can advance.")
        clock.advance(_seconds(await read_json(request)))
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
    mode = "manual" if isinstance(clock, ManualClock) else "real"
    return {"now": format_timestamp(now), "nanoseconds": str(now), "mode": mode}


def _seconds(body: Any) -> float:
    seconds = body.get("seconds") if isinstance(body, dict) and set(body) == {"seconds"} else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_STEP:
        raise invalid(f'Send {{"seconds": N}} with N from 0 to {_LONGEST_STEP:g}.')
    return float(seconds)


def _answered(call: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return json_response(await call(request))
        except ApiError as error:
            return error_response(error)

    return answer
