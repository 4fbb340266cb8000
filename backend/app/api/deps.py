"""What endpoints ask for."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, HTTPException, Request, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from ..core import get_logger, set_user, shed
from ..core.client_address import client_address
from ..core.context import current
from ..middleware.security import subject_of
from .auth import events
from .auth.accounts import Client, Principal
from .auth.tokens import TokenError
from .features import Feature
from .parts import Parts

log = get_logger("auth")
_bearer = HTTPBearer(auto_error=False, description="The access token that a login gives.")


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


#: For the OpenAPI document.
UNAUTHORISED: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": Problem, "description": "No valid access token."}
}
FORBIDDEN: Final[dict[int | str, dict[str, Any]]] = {
    **UNAUTHORISED,
    403: {"model": Problem, "description": "Not with this role."},
}


def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]


def client_of(request: Request, parts: PartsDep) -> Client:
    address = client_address(request.scope, parts.trusted_proxies)
    return Client(address, subject_of(address), request.headers.get("user-agent", ""))


ClientDep = Annotated[Client, Depends(client_of)]


def _refused(code: int, detail: str, event: str = "") -> HTTPException:
    """`event`: what a security team would look at; a token that has expired is none."""
    context = current.get()
    route = context.route if context is not None else None
    events.refused.labels(endpoint=route or "", status_code=str(code)).add()
    if event:
        events.security.labels(kind=event).add()
    headers = {"www-authenticate": "Bearer"} if code == status.HTTP_401_UNAUTHORIZED else None
    return HTTPException(code, detail, headers)


async def principal(
    parts: PartsDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """Whom the request is for; 401 where nobody valid is named."""
    if credentials is None:
        raise _refused(401, "an access token is needed")
    try:
        found = await parts.accounts.principal(credentials.credentials)
    except TokenError as error:
        event = "forged_token" if error.forged else ""
        raise _refused(401, "the access token is not valid, or not any more", event) from None
    set_user(found.user_id)
    return found


PrincipalDep = Annotated[Principal, Depends(principal)]


async def administrator(found: PrincipalDep) -> Principal:
    if found.role != "admin":
        raise _refused(403, "this needs the role admin", "missing_role")
    return found


AdminDep = Annotated[Principal, Depends(administrator)]


def feature(name: Feature) -> Callable[[Parts], Awaitable[None]]:
    """A dependency that answers 503 while a feature is switched off."""

    async def ask(parts: PartsDep) -> None:
        if not await parts.features.on(name):
            raise unavailable(f"{name} is switched off", 60)

    return ask


def unavailable(detail: str, seconds: int) -> HTTPException:
    """Refused on purpose: not counted as an error of ours."""
    shed()
    return HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, detail, {"retry-after": str(seconds)})
