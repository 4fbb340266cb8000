"""Version 1 of the API."""

from fastapi import APIRouter, Depends

from ..deps import feature
from .endpoints import admin, auth, content, faults, items

router = APIRouter(prefix="/api/v1")
router.include_router(auth.router)
router.include_router(content.router)
router.include_router(admin.router)
router.include_router(items.router)
router.include_router(faults.router, dependencies=[Depends(feature("faults"))])
