"""Operations of Cloud Logging over REST: google.longrunning.Operations has no place in the table of methods."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.longrunning.operations_pb2 import ListOperationsResponse
from google.protobuf import json_format
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..status import ApiError
from ..transport.json_wire import error_response, json_response, wants_pretty
from .config_service import ConfigService

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_PLACE = "/v2/projects/{project}/locations/{location}/operations"


def routes(config: ConfigService) -> "list[BaseRoute]":
    """GET an operation, as Terraform's provider polls it, and list them."""

    async def get(request: Request) -> Response:
        return _answer(request, lambda: config.operation(request.url.path.removeprefix("/v2/")))

    async def list_all(request: Request) -> Response:
        place = request.url.path.removeprefix("/v2/")
        found = [operation for operation in config.operations() if operation.name.startswith(f"{place}/")]
        return _answer(request, lambda: ListOperationsResponse(operations=found))

    return [Route(f"{_PLACE}/{{operation}}", get, methods=["GET"]), Route(_PLACE, list_all, methods=["GET"])]


def _answer(request: Request, call: Callable[[], Any]) -> Response:
    pretty = wants_pretty(request)
    try:
        return json_response(json_format.MessageToDict(call()), pretty=pretty)
    except ApiError as error:
        return error_response(error, pretty=pretty)
