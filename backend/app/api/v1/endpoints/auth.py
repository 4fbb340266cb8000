"""Accounts and sessions over HTTP."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, status
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from ....core import shed
from ...auth.accounts import AddressLockedError, Grant, LoginError
from ...auth.passwords import BusyError
from ...deps import UNAUTHORISED, ClientDep, PartsDep, PrincipalDep, Problem, feature, unavailable

router = APIRouter(prefix="/auth", tags=["auth"])

# One answer for every reason: which it was is for the metrics and the audit log.
_REFUSED = "the e-mail address or the password is wrong, or the account is locked"
_NO_STORE = {"cache-control": "no-store"}  # RFC 6749, section 5.1

Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


def _unicode(secret: SecretStr) -> SecretStr:
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair is no text") from None
    return secret


# Of a str pydantic sees to it itself.
Secret = Annotated[SecretStr, AfterValidator(_unicode)]


class Credentials(BaseModel):
    email: Email
    # Not stricter than at registration: what is no password is a wrong password.
    password: Annotated[Secret, Field(min_length=1, max_length=1024)]


class NewAccount(Credentials):
    password: Annotated[Secret, Field(min_length=12, max_length=1024)]


class Refresh(BaseModel):
    refresh_token: Annotated[Secret, Field(min_length=1, max_length=200)]


class Granted(BaseModel):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # RFC 6750's word
    expires_in: int = Field(description="Seconds that the access token is good for.")


class Me(BaseModel):
    user_id: str
    role: str
    session_id: str


class SessionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str


def _granted(grant: Grant) -> JSONResponse:
    body = Granted(access_token=grant.access_token, refresh_token=grant.refresh_token, expires_in=grant.seconds)
    return JSONResponse(body.model_dump(), headers=_NO_STORE)


@router.post(
    "/register",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[Depends(feature("registration"))],
    summary="Make an account",
)
async def register(new: NewAccount, parts: PartsDep, client: ClientDep) -> Problem:
    """The answer is the same where the address has an account already."""
    try:
        await parts.accounts.register(new.email, new.password.get_secret_value(), client)
    except BusyError:
        raise unavailable("too many at a time", 1) from None
    return Problem(detail="log in with this address; if it had an account before, that one is unchanged")


@router.post(
    "/login",
    response_model=Granted,
    summary="Open a session",
    responses={
        401: {"model": Problem, "description": _REFUSED},
        429: {"model": Problem, "description": "Too many failed logins from this address."},
    },
)
async def login(given: Credentials, parts: PartsDep, client: ClientDep) -> JSONResponse:
    try:
        return _granted(await parts.accounts.login(given.email, given.password.get_secret_value(), client))
    except LoginError:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, _REFUSED, {"www-authenticate": "Bearer"}) from None
    except AddressLockedError as error:
        shed()
        raise HTTPException(
            status.HTTP_429_TOO_MANY_REQUESTS,
            f"too many logins from this address have failed; try again in {error.seconds} s",
            {"retry-after": str(error.seconds)},
        ) from None
    except BusyError:
        raise unavailable("too many at a time", 1) from None


@router.post(
    "/refresh",
    response_model=Granted,
    summary="Renew both tokens",
    responses={401: {"model": Problem, "description": "The refresh token is not good, or not any more."}},
)
async def refresh(given: Refresh, parts: PartsDep, client: ClientDep) -> JSONResponse:
    """A refresh token is good for once; a second use ends its session."""
    try:
        return _granted(await parts.accounts.refresh(given.refresh_token.get_secret_value(), client))
    except LoginError:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "the refresh token is not valid, or not any more") from None


@router.get("/me", summary="Whom the access token is for", responses=UNAUTHORISED)
async def me(principal: PrincipalDep) -> Me:
    return Me(user_id=principal.user_id, role=principal.role, session_id=principal.session_id)


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT, summary="End this session", responses=UNAUTHORISED)
async def logout(principal: PrincipalDep, parts: PartsDep) -> None:
    await parts.accounts.end_session(principal, principal.session_id, "logout")


@router.get("/sessions", summary="The user's sessions", responses=UNAUTHORISED)
async def list_sessions(principal: PrincipalDep, parts: PartsDep) -> list[SessionOut]:
    return [SessionOut.model_validate(session) for session in await parts.accounts.sessions(principal.user_id)]


@router.delete(
    "/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="End one of them",
    responses={**UNAUTHORISED, 404: {"model": Problem, "description": "No session of this user's that lasts."}},
)
async def revoke_session(session_id: str, principal: PrincipalDep, parts: PartsDep) -> None:
    if not await parts.accounts.end_session(principal, session_id, "revoked"):
        raise HTTPException(status.HTTP_404_NOT_FOUND, "there is no such session")
