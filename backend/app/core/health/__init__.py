"""Honest health endpoints: liveness without dependencies, readiness with the critical ones."""

from .checks import Answer, Check, Degraded, Result
from .paths import Paths
from .registry import HealthRegistry, health
from .router import health_app, router, routes

__all__ = [
    "Answer",
    "Check",
    "Degraded",
    "HealthRegistry",
    "Paths",
    "Result",
    "health",
    "health_app",
    "router",
    "routes",
]
