"""Checks for what services depend on, to be registered with `health.add(name, check)`.

A check is loaded when it is asked for; it takes the client that the service has, and needs no package of its own.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .certificate import certificate_check, certificate_file_check
    from .configuration import configuration_check
    from .database import asyncpg_check, psycopg_check, sqlalchemy_check
    from .http import http_check
    from .process import disk_check, loop_lag_check, memory_check, pool_check
    from .pubsub import pubsub_check
    from .redis import redis_check
    from .telemetry import telemetry_check

__all__ = [
    "asyncpg_check",
    "certificate_check",
    "certificate_file_check",
    "configuration_check",
    "disk_check",
    "http_check",
    "loop_lag_check",
    "memory_check",
    "pool_check",
    "psycopg_check",
    "pubsub_check",
    "redis_check",
    "sqlalchemy_check",
    "telemetry_check",
]

_HOMES: Final = {
    "asyncpg_check": "database",
    "certificate_check": "certificate",
    "certificate_file_check": "certificate",
    "configuration_check": "configuration",
    "disk_check": "process",
    "http_check": "http",
    "loop_lag_check": "process",
    "memory_check": "process",
    "pool_check": "process",
    "psycopg_check": "database",
    "pubsub_check": "pubsub",
    "redis_check": "redis",
    "sqlalchemy_check": "database",
    "telemetry_check": "telemetry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
