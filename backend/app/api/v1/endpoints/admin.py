"""For the role `admin`. The log level (`PUT /admin/log-level`) and `/health/detailed` are the library's."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, status
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from ...auth import events
from ...database.models import User
from ...deps import FORBIDDEN, AdminDep, PartsDep, Problem
from ...features import Feature

router = APIRouter(prefix="/admin", tags=["admin"], responses=FORBIDDEN)
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "There is no such account."}}


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    email: str
    role: str
    disabled: bool


class UserChange(BaseModel):
    """What is left out stays as it is."""

    role: Literal["user", "admin"] | None = None
    disabled: bool | None = None


class FeatureOut(BaseModel):
    name: Feature
    on: bool


class FeatureChange(BaseModel):
    on: bool


class DeadLetter(BaseModel):
    reason: str
    message: dict[str, Any]


def _audited(written: bool) -> None:
    # What an administrator does must not happen without a trace.
    if not written:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "the audit log takes no entries; nothing was changed")


@router.get("/users", summary="Accounts, newest first")
async def list_users(
    _: AdminDep, parts: PartsDep, limit: Annotated[int, Query(ge=1, le=100)] = 50, email: str | None = None
) -> list[UserOut]:
    query = select(User).order_by(User.created_at.desc()).limit(limit)
    if email is not None:
        query = query.where(User.email == email.casefold())
    async with parts.database() as database:
        return [UserOut.model_validate(user) for user in await database.scalars(query)]


@router.patch("/users/{user_id}", summary="Change a role, or switch an account off", responses=_MISSING)
async def change_user(user_id: str, change: UserChange, admin: AdminDep, parts: PartsDep) -> UserOut:
    """A change of role counts at the next request; an account that is switched off has no sessions left."""
    async with parts.database.begin() as database:
        user = await database.get(User, user_id, with_for_update=True)
        if user is None:
            raise HTTPException(status.HTTP_404_NOT_FOUND, "there is no such account")
        if change.role is not None and change.role != user.role:
            _audited(
                parts.audit(
                    events.RoleChanged(
                        actor=admin.user_id, target=user.id, role_before=user.role, role_after=change.role
                    )
                )
            )
            user.role = change.role
            events.security.labels(kind="role_changed").add()
        if change.disabled is not None and change.disabled != user.disabled:
            _audited(parts.audit(events.AccountDisabled(actor=admin.user_id, target=user.id, disabled=change.disabled)))
            user.disabled = change.disabled
            if change.disabled:
                await parts.accounts.end_all(database, user.id, "disabled")
        return UserOut.model_validate(user)


@router.delete(
    "/users/{user_id}/lockout", status_code=status.HTTP_204_NO_CONTENT, summary="Unlock an account", responses=_MISSING
)
async def lift_lockout(user_id: str, admin: AdminDep, parts: PartsDep) -> None:
    async with parts.database() as database:
        user = await database.get(User, user_id)
    if user is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "there is no such account")
    _audited(parts.audit(events.LockoutLifted(actor=admin.user_id, target=user.id)))
    await parts.accounts.lockouts.lift(user.email)


@router.get("/features", summary="Feature switches")
async def list_features(_: AdminDep, parts: PartsDep) -> list[FeatureOut]:
    return [FeatureOut(name=name, on=on) for name, on in (await parts.features.all()).items()]


@router.put("/features/{name}", summary="Switch a feature")
async def switch_feature(name: Feature, change: FeatureChange, admin: AdminDep, parts: PartsDep) -> FeatureOut:
    _audited(parts.audit(events.FeatureSwitched(actor=admin.user_id, feature=name, on=change.on)))
    await parts.features.switch(name, on=change.on)
    return FeatureOut(name=name, on=change.on)


@router.get("/dead-letters", summary="Messages given up, newest first")
async def dead_letters(
    _: AdminDep, parts: PartsDep, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> list[DeadLetter]:
    found = await parts.queue.dead_letters(limit)
    return [DeadLetter(reason=reason, message=message.wire()) for message, reason in found]
