"""The service's health: the library's endpoints, and this service's own checks."""

from ....core.health import health, router
from .items import shelf

health_router = router(health)


@health.check("items")
async def items_are_kept() -> bool:
    """The shelf answers."""
    return shelf.items is not None
