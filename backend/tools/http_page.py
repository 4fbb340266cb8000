"""docs/reference/http.md: every route of the library and of the reference service."""

import inspect
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.api.v1.router import router as service_router
from app.core import Settings
from app.core.health.paths import Paths
from app.core.health.registry import HealthRegistry
from app.core.health.router import router as health_router
from app.core.logging.admin import PATH as LOG_LEVEL
from app.middleware.policies import Policies, Policy

_HEAD: Final = """\
# HTTP routes

{note}

## Of the library

`instrument(app)` adds them. They answer GET and HEAD, and leave no log entry and no metric while they answer below 400
([`EXCLUDED_ROUTES`](settings.md)); none of them is in the app's OpenAPI document unless `HEALTH_IN_OPENAPI` says so.

| route | tells | answers | for whom |
| --- | --- | --- | --- |
"""
_BETWEEN: Final = """\

Health answers are `application/health+json` with `status` `pass`, `warn` or `fail`, and are never cached.
`HEALTH_PREFIX` and `HEALTH_NAMES` move and rename the routes, groups of checks get their own, `HEALTH_ROUTES=false`
leaves all out: [health](../guides/health.md).

## Of the reference service

What `make run` serves, as its OpenAPI document (`/openapi.json`, and `/docs` to try it) says. *By* is who may call:
`user` needs the access token of a login as `Authorization: Bearer ...`, `admin` that of an account with this role.
*Limit* is a policy of the list below, which `RATE_LIMITS` changes ([settings of the service](service-settings.md)).

| route | does | answers | by | limit |
| --- | --- | --- | --- | --- |
"""
_TAIL: Final = """\

Refusals tell why in `detail`: 401 without a valid access token, 403 with the wrong role, 422 where the input does not
fit. Any route may answer 429 with `Retry-After` beyond its limit, and 503 with `Retry-After` where a feature is
switched off or a part of the service is overloaded. `/slow` and `/fail` make trouble for monitoring to see: they are on
where nobody relies on the service, or by the feature `faults`.

Limits:

"""
_HEALTH_ANSWERS: Final[dict[str, tuple[str, str]]] = {
    "health": ("200; 503 from a broken process", "anyone"),
    "live": ("200; 503 from a broken process", "anyone"),
    "ready": ("200; 503 while starting, draining, or with a critical check failing", "anyone"),
    "startup": ("200; 503 until the service has started", "anyone"),
    "detailed": (
        "200 or 503, with every check",
        "the status for anyone; the rest by `HEALTH_TOKEN`, a signed IAP header or `HEALTH_NETWORKS`",
    ),
}


def library_routes(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    """Methods and path, what it tells, answers, for whom."""
    summaries = {route.path: route.summary or "" for route in _health() if isinstance(route, APIRoute)}
    for role, path in Paths().of_roles():
        yield f"GET {path}", summaries[path], *_HEALTH_ANSWERS[role]
    yield (
        f"GET {settings.metrics_route or '(METRICS_ROUTE)'}",
        "The metrics of this worker, as Prometheus's text or OpenMetrics; only with `METRICS_ROUTE`",
        "200",
        "anyone who reaches it: keep it off the public side",
    )
    yield (
        f"GET, PUT {LOG_LEVEL}",
        'The log level of this process; `{"level": "DEBUG"}` changes it; only with `ADMIN_TOKEN`',
        "200, 401, 422",
        "`ADMIN_TOKEN` as a bearer token",
    )


def _health() -> list[Any]:
    return list(health_router(HealthRegistry(), in_openapi=True).routes)


class _Operation(NamedTuple):
    route: str
    does: str
    answers: str
    by: str
    policy: Policy


def _service() -> Iterator[_Operation]:
    app = FastAPI(generate_unique_id_function=lambda route: route.name)
    app.include_router(service_router)
    policies = Policies({})
    for path, methods in app.openapi()["paths"].items():
        for name, told in methods.items():
            method = name.upper()
            does = [told["summary"], *inspect.cleandoc(told.get("description", "")).splitlines()]
            by = ("admin" if "403" in told["responses"] else "user") if told.get("security") else "anyone"
            yield _Operation(
                f"{method} {path}",
                ". ".join(line.rstrip(".") for line in does if line),
                ", ".join(sorted(told["responses"])),
                by,
                policies.of(method, path),
            )


def page(note: str) -> str:
    library = [
        f"| `{route}` | {tells} | {answers} | {who} |"
        for route, tells, answers, who in library_routes(Settings.load(metrics_route="/metrics"))
    ]
    operations = list(_service())
    service = [f"| `{one.route}` | {one.does} | {one.answers} | {one.by} | `{one.policy.name}` |" for one in operations]
    policies = {one.policy.name: one.policy for one in operations}
    limits = [
        f"- `{one.name}`: {' and '.join(str(limit) for limit in one.limits)}, for each {one.by}"
        for _, one in sorted(policies.items())
    ]
    return (
        "\n".join(
            [_HEAD.format(note=note) + "\n".join(library), _BETWEEN + "\n".join(service), _TAIL + "\n".join(limits)]
        )
        + "\n"
    )
