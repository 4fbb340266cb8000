"""The REST wire: the same service objects behind Google's own paths and JSON."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from google.protobuf import json_format
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..clock import SystemClock
from ..faults.plan import Faults
from ..status import ApiError, Code, invalid, unimplemented
from .binding import INTEGER_ENUMS, bind_query, parse_into
from .failures import internal_error
from .json_wire import error_response, json_response, read_json, wants_pretty
from .methods import HttpRule, Method, RestMethod, Services, methods, rest_methods

if TYPE_CHECKING:
    from google.protobuf.message import Message

_VARIABLE = re.compile(r"\{([^=}]+)(?:=([^}]*))?\}")
_SLASH = re.compile("(%2[fF])")
_VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class JsonCall(NamedTuple):
    """A REST call as it came, for a service that keeps raw JSON; variables by field path, such as `dashboard.name`."""

    variables: dict[str, str]
    query: list[tuple[str, str]]
    body: Any


class Binding(NamedTuple):
    pattern: re.Pattern[str]
    rule: HttpRule
    method: Method | RestMethod
    service: object | None


def rest_route(services: Services, faults: Faults | None = None) -> Route:
    """One route for all paths of the table; it comes last, because it also answers every unknown path."""
    injected = faults or Faults(SystemClock())
    known: list[Method | RestMethod] = [*methods(), *rest_methods()]
    bindings = [
        Binding(_pattern(rule.template), rule, method, services.get(method.service))
        for method in known
        for rule in method.http
    ]

    async def answer(request: Request) -> Response:
        pretty = wants_pretty(request)
        try:
            reply = await _call(request, bindings, injected)
        except ApiError as error:
            return error_response(error, pretty=pretty)
        return json_response(reply, pretty=pretty)

    return Route("/{path:path}", answer, methods=_VERBS)


async def _call(request: Request, bindings: Iterable[Binding], faults: Faults) -> Any:
    path = request.scope["raw_path"].decode("ascii", "replace")
    for binding in bindings:
        match = binding.pattern.fullmatch(path) if binding.rule.verb == request.method else None
        if match is not None:
            break
    else:
        raise ApiError(Code.NOT_FOUND, f"The requested URL {path} was not found on this server.")
    method, service = binding.method, binding.service
    variables = dict(zip(_VARIABLE.findall(binding.rule.template), match.groups(), strict=True))
    call = JsonCall(
        {name: _decode(value) for (name, _), value in variables.items()},
        request.query_params.multi_items(),
        await read_json(request) if binding.rule.body else None,
    )
    try:
        return await _answer(binding, service, call, faults)
    except ApiError:
        raise
    except RecursionError:
        raise invalid("Invalid JSON payload received. The request is nested too deeply.") from None
    except Exception:  # noqa: BLE001  # a bug of ours must reach the client as INTERNAL, and stderr with its traceback
        raise internal_error(method.full_name) from None


async def _answer(binding: Binding, service: object | None, call: JsonCall, faults: Faults) -> Any:
    method = binding.method
    raw: Callable[[JsonCall], Any] | None = getattr(service, f"{method.attribute}_json", None)
    if raw is not None:
        return await faults.around(method.full_name, raw, call)
    answer: Callable[[Message], Message] | None = getattr(service, method.attribute, None)
    if isinstance(method, RestMethod) or answer is None or method.client_streams or method.server_streams:
        raise unimplemented(method.full_name)
    request = method.request()
    if binding.rule.body == "*":
        parse_into(request, call.body)
    elif binding.rule.body:
        parse_into(getattr(request, binding.rule.body), call.body)
    bind_query(request, call.query)
    for field, value in call.variables.items():
        *parents, last = field.split(".")
        target: Any = request
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, value)
    reply = await faults.around(method.full_name, answer, request)
    return json_format.MessageToDict(reply, use_integers_for_enums=("$alt", INTEGER_ENUMS) in call.query)


def _pattern(template: str) -> re.Pattern[str]:
    """A path template of google/api/http.proto as a regular expression over the path as sent (percent-encoded)."""
    parts: list[str] = []
    end = 0
    for variable in _VARIABLE.finditer(template):
        parts += [re.escape(template[end : variable.start()]), "(", _segments(variable.group(2) or "*"), ")"]
        end = variable.end()
    return re.compile("".join([*parts, re.escape(template[end:])]))


def _segments(template: str) -> str:
    return "/".join({"*": "[^/]+", "**": ".+"}.get(part, re.escape(part)) for part in template.split("/"))


def _decode(value: str) -> str:
    """Undo percent-encoding except %2F: the rule for variables of several segments in google/api/http.proto."""
    return "".join(part if part.upper() == "%2F" else unquote(part) for part in _SLASH.split(value))
