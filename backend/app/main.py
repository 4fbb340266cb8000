"""The reference service: settings in, app out. Run it with `make run`, or beneath `cloudops run`."""

from fastapi import FastAPI

from .api.v1.endpoints.health import health_router
from .api.v1.router import router
from .core import Settings, instrument


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service, observed.

    Raises:
        SettingsError: A setting in the environment cannot be used.
    """
    service = FastAPI(title="Items", version="0.1.0")
    service.include_router(router)
    service.include_router(health_router)
    instrument(service, settings)
    return service


app = create_app()
