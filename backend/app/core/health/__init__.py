"""Honest health endpoints: liveness without dependencies, readiness with the critical ones."""

from .checks import Check, Result
from .registry import HealthRegistry, health
from .router import router, routes

__all__ = ["Check", "HealthRegistry", "Result", "health", "router", "routes"]
