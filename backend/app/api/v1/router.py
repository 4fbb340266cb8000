"""Version 1 of the API."""

from fastapi import APIRouter

from .endpoints import faults, items

router = APIRouter(prefix="/api/v1")
router.include_router(items.router)
router.include_router(faults.router)
