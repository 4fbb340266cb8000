"""Everything `/health/detailed` tells.

The shape is that of datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06: names are
`component:measurement`. What the draft has no word for (whether a check is critical, how old its result is) stands
beside its own fields.
"""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..metrics.sources.linux import Files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .checks import Result
    from .registry import HealthRegistry, Verdict

_STATUS: Final = {"healthy": "pass", "degraded": "warn", "unhealthy": "fail"}


@cache
def _files() -> Files:
    return Files()  # not at import, which opens no file but code


def details(registry: "HealthRegistry", results: "Iterable[Result]", verdict: "Verdict") -> dict[str, Any]:
    """The body for whoever may see it."""
    facts = registry.about.facts()
    body: dict[str, Any] = {
        "status": verdict,
        "state": registry.state,
        "serviceId": facts.get("service", ""),
        "version": facts.get("version", ""),
        "releaseId": facts.get("commit", ""),
        "revision": facts.get("revision", ""),
        "instance": facts.get("instance", ""),
        "checks": {},
    }
    if registry.broken:
        body["output"] = registry.redaction.error(registry.broken)
    elif registry.holds:
        body["notes"] = [f"starting: {reason}" for reason in registry.holds]
    for result in results:
        body["checks"][f"{result.check.name}:responseTime"] = [_check(registry, result)]
    body["checks"] |= _resources(registry)
    return body


def _check(registry: "HealthRegistry", result: "Result") -> dict[str, Any]:
    answer = result.answer
    told: dict[str, Any] = {
        "componentType": "component",
        "status": _STATUS[result.status],
        "observedValue": round(result.seconds, 6),
        "observedUnit": "s",
        "time": _time(result.time_ns),
        "ageSeconds": round(registry.age(result), 3),
        "critical": result.check.critical,
        "tags": sorted(result.check.tags),
    }
    if answer.value is not None:
        told |= {"value": answer.value, "unit": answer.unit}
    if answer.reason:
        told["output"] = registry.redaction.error(answer.reason)
    return told


def _resources(registry: "HealthRegistry") -> dict[str, Any]:
    about, files = registry.about, _files()
    figures = {
        "uptime": (files.age(), "s"),
        "memory:resident": (files.resident_bytes(), "bytes"),
        "memory:limit": (files.memory_limit(), "bytes"),
        "cpu:limit": (files.cpu_limit(), "cores"),
        "files:open": (files.open_files(), "files"),
        "files:limit": (files.file_limit(), "files"),
        "requests:inFlight": (about.in_flight(), "requests"),
    }
    told: dict[str, Any] = {
        name: [_system(round(value, 3), unit)]
        for name, (value, unit) in figures.items()
        if value is not None and (value or not name.endswith(":limit"))  # 0: there is none
    }
    if about.rates is not None:
        told["requests:errorRatio"] = [
            {
                **_system(round(rate.ratio, 6), "1"),
                "windowMinutes": rate.minutes,
                "seenSeconds": round(rate.seconds, 1),
                "requests": int(rate.requests),
                "errors": int(rate.errors),
            }
            for rate in about.rates.read()
        ]
    return told


def _system(value: float, unit: str) -> dict[str, Any]:
    return {"componentType": "system", "observedValue": value, "observedUnit": unit}


def _time(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03}Z"
