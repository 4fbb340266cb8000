"""The reference service, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from ..core import Observability, Settings, instrument
from ..core.client_address import TrustedProxies
from ..middleware.policies import Policies
from ..middleware.security import RateLimits
from .auth.tokens import TokenError
from .failures import tell_failures
from .parts import Parts, opened
from .settings import ServiceSettings
from .v1.endpoints.health import checked
from .v1.router import router


def create_app(settings: Settings | None = None, service: ServiceSettings | None = None, **options: Any) -> FastAPI:
    """The service, observed.

    Args:
        settings: Of the library; from the environment when None.
        service: Of the service; from the environment when None.
        options: For `instrument`.

    Raises:
        SettingsError: A setting in the environment cannot be used.
    """
    settings = settings or Settings.load()
    service = service or ServiceSettings.load()
    app = FastAPI(
        title="fastapi-cloudops reference service",
        summary="Accounts, content and items, observed in every way the library knows.",
        version=settings.version or "0.1.0",
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.include_router(router)
    tell_failures(app)
    observability = instrument(app, settings, **options)
    app.state.service_settings, app.state.observability = service, observability
    if service.rate_limiting:
        app.add_middleware(
            RateLimits,
            policies=Policies(service.rate_limits),
            templates=observability.routes.templates,
            user_of=_user_of,
            trusted_proxies=TrustedProxies.parse(settings.trusted_proxies),
        )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    observability: Observability = app.state.observability
    async with opened(app.state.service_settings, observability) as parts:
        app.state.parts = parts
        with checked(observability.health, parts):
            yield


def _user_of(parts: Parts, token: str) -> str:
    try:
        return parts.tokens.read(token).user_id
    except TokenError:
        return ""


def _operation_id(route: APIRoute) -> str:
    return route.name
