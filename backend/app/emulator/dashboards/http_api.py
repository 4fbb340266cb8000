"""The emulator's own view of dashboards: what they hold that Google's published proto does not know."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .raw import unknown_fields
from .service import DashboardsService

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def routes(service: DashboardsService) -> "list[BaseRoute]":
    """Exports of the console hold such fields, so they are kept and told rather than refused."""

    async def list_dashboards(_: Request) -> Response:
        shown = [
            {"name": raw["name"], "displayName": raw.get("displayName", ""), "unknownFields": unknown_fields(raw)}
            for raw in service.all()
        ]
        return JSONResponse({"dashboards": shown})

    return [Route("/emulator/v1/dashboards", list_dashboards, methods=["GET"])]
