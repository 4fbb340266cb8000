"""What an app asks of FastAPI's own telemetry (0.142 and newer)."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI


def telemetry_of(app: FastAPI) -> Mapping[str, Any]:
    """What `FastAPI(telemetry=...)` was given, with FastAPI's defaults; empty: nothing, or no such argument.

    FastAPI keeps the argument only merged with its defaults: one that says no more than these, as `{}` or
    `{"tracing": True}`, cannot be told from none.
    """
    given = getattr(app, "_telemetry", None)
    if not isinstance(given, Mapping):
        return {}
    # Of a bare app: the defaults differ between versions, and one comes from the environment.
    return {} if given == getattr(FastAPI(openapi_url=None), "_telemetry", None) else given
