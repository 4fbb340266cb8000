"""Content that takes longer than a request."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Response, status
from pydantic import BaseModel, ConfigDict, Field

from ....core import bind
from ...content.jobs import FullError
from ...deps import UNAUTHORISED, PartsDep, PrincipalDep, Problem, feature, unavailable

router = APIRouter(prefix="/content", tags=["content"])


class NewJob(BaseModel):
    topic: str = Field(min_length=1, max_length=200)


class JobOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    topic: str
    status: Literal["pending", "completed", "failed"]
    stage: str
    attempts: int
    result: str | None
    error: str | None = Field(description="The type of the last failure.")
    created_at: datetime
    finished_at: datetime | None


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Ask for content",
    dependencies=[Depends(feature("content"))],
    responses={**UNAUTHORISED, 503: {"model": Problem, "description": "Too much waits already."}},
)
async def ask(new: NewJob, principal: PrincipalDep, parts: PartsDep, response: Response) -> JobOut:
    """It is made in the background; `Location` says where to look for it."""
    try:
        job = await parts.jobs.ask(principal.user_id, new.topic)
    except FullError:
        raise unavailable("too much waits already", 30) from None
    bind(job_id=job.id)
    response.headers["location"] = f"/api/v1/content/{job.id}"
    return JobOut.model_validate(job)


@router.get("", summary="The user's content, newest first", responses=UNAUTHORISED)
async def list_jobs(
    principal: PrincipalDep, parts: PartsDep, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> list[JobOut]:
    return [JobOut.model_validate(job) for job in await parts.jobs.list_of(principal.user_id, limit)]


@router.get(
    "/{job_id}",
    summary="How far it is",
    responses={**UNAUTHORISED, 404: {"model": Problem, "description": "No such content of this user's."}},
)
async def read_job(job_id: str, principal: PrincipalDep, parts: PartsDep) -> JobOut:
    bind(job_id=job_id)
    job = await parts.jobs.of(principal.user_id, job_id)
    if job is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "there is no such content")
    return JobOut.model_validate(job)
