"""Trouble on demand: a slow answer and a failing one, to see what monitoring makes of them."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

router = APIRouter(tags=["faults"])


class DemandedError(RuntimeError):
    """Raised because somebody asked for it."""


@router.get("/slow")
async def slow(seconds: Annotated[float, Query(ge=0, le=30)] = 1.0) -> dict[str, float]:
    """Answer after so many seconds."""
    await asyncio.sleep(seconds)
    return {"seconds": seconds}


@router.get("/fail")
async def fail(status: Annotated[int, Query(ge=400, le=599)] = 500) -> None:
    """Answer with an error; 500 is an unhandled exception, as real ones are."""
    if status == 500:  # noqa: PLR2004  # HTTP's number
        raise DemandedError("the caller asked for a failure")
    raise HTTPException(status, "the caller asked for a failure")
