"""Honest health endpoints: liveness without dependencies, readiness with the critical ones."""

from .checks import Answer, Check, Degraded, Result
from .paths import Paths
from .registry import HealthRegistry, health
from .router import has_routes, health_app, router, routes

__all__ = [
    "Answer",
    "Check",
    "Degraded",
    "HealthRegistry",
    "Paths",
    "Result",
    "has_routes",
    "health",
    "health_app",
    "router",
    "routes",
]
