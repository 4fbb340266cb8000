"""Helpers that fill metrics from the events of libraries, one line each.

A helper is loaded when it is asked for, and loads its library when it is called: a service pays for what it uses.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .asyncpg import asyncpg_queries, observe_asyncpg
    from .cache import CacheMetrics
    from .http_client import observe_httpx
    from .process import ProcessSource, service_info, system_metrics
    from .psycopg import observe_psycopg
    from .queue import QueueState, observe_queue
    from .redis import observe_redis
    from .refresh import refreshers
    from .sqlalchemy import observe_sqlalchemy

__all__ = [
    "CacheMetrics",
    "ProcessSource",
    "QueueState",
    "asyncpg_queries",
    "observe_asyncpg",
    "observe_httpx",
    "observe_psycopg",
    "observe_queue",
    "observe_redis",
    "observe_sqlalchemy",
    "refreshers",
    "service_info",
    "system_metrics",
]

_HOMES: Final = {
    "CacheMetrics": "cache",
    "ProcessSource": "process",
    "QueueState": "queue",
    "asyncpg_queries": "asyncpg",
    "observe_asyncpg": "asyncpg",
    "observe_httpx": "http_client",
    "observe_psycopg": "psycopg",
    "observe_queue": "queue",
    "observe_redis": "redis",
    "observe_sqlalchemy": "sqlalchemy",
    "refreshers": "refresh",
    "service_info": "process",
    "system_metrics": "process",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
