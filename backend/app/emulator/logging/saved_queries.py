"""Saved queries of Logs Explorer: JSON over REST, since Google publishes no message for them.

Fields and rules: cloud.google.com/logging/docs/reference/v2/rest/v2/projects.locations.savedQueries.
"""

import json
import re
import secrets
import threading
from typing import TYPE_CHECKING, Any

from google.protobuf import timestamp_pb2
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..project import Context
from ..status import ApiError, already_exists, invalid, missing_field, not_found
from ..transport.json_wire import error_response, json_response, wants_pretty
from .config_rules import compiled, read_project

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_PLACE = "/v2/projects/{project}/locations/{location}/savedQueries"
_PUT, _GONE = "logging.saved_query", "logging.saved_query_gone"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WRITABLE = ("displayName", "description", "visibility", "loggingQuery", "opsAnalyticsQuery")
_OF_SERVER = {"name", "createTime", "updateTime"}


class SavedQueries:
    """The queries of one project, by their whole names."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._queries: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def routes(self) -> "list[BaseRoute]":
        return [
            Route(f"{_PLACE}/{{query}}", self._one, methods=["GET", "PATCH", "DELETE"]),
            Route(_PLACE, self._all, methods=["GET", "POST"]),
        ]

    def restore(self, kind: str, record: bytes) -> bool:
        """Apply a journalled record; false when it is not about saved queries."""
        if kind == _PUT:
            query = json.loads(record)
            self._queries[query["name"]] = query
        elif kind == _GONE:
            self._queries.pop(record.decode(), None)
        else:
            return False
        return True

    async def _all(self, request: Request) -> Response:
        place = f"projects/{request.path_params['project']}/locations/{request.path_params['location']}"
        pretty = wants_pretty(request)
        try:
            read_project(f"projects/{request.path_params['project']}", self._context)
            if request.method == "POST":
                identifier = request.query_params.get("savedQueryId") or secrets.token_hex(8)
                return json_response(self._create(place, identifier, await _body(request)), pretty=pretty)
        except ApiError as error:
            return error_response(error, pretty=pretty)
        found = [self._queries[name] for name in sorted(self._queries) if name.startswith(f"{place}/")]
        return json_response({"savedQueries": found} if found else {}, pretty=pretty)

    async def _one(self, request: Request) -> Response:
        name, pretty = request.url.path.removeprefix("/v2/"), wants_pretty(request)
        try:
            query = self._queries.get(name)
            if query is None:
                raise not_found(f"Saved query {name} does not exist")
            if request.method == "PATCH":
                query = self._update(query, await _body(request), request.query_params.get("updateMask", ""))
            elif request.method == "DELETE":
                self._delete(name)
                query = {}
        except ApiError as error:
            return error_response(error, pretty=pretty)
        return json_response(query, pretty=pretty)

    def _create(self, place: str, identifier: str, given: dict[str, Any]) -> dict[str, Any]:
        if _ID.fullmatch(identifier) is None:
            raise invalid(f"savedQueryId '{identifier}' must match {_ID.pattern}.")
        name = f"{place}/savedQueries/{identifier}"
        kept = {key: given[key] for key in _WRITABLE if key in given}
        _check(given, kept)
        with self._lock:
            if name in self._queries:
                raise already_exists(f"Saved query {name} already exists")
            return self._put({"name": name, **kept, "createTime": self._now(), "updateTime": self._now()})

    def _update(self, query: dict[str, Any], given: dict[str, Any], mask: str) -> dict[str, Any]:
        paths = mask.split(",") if mask else list(_WRITABLE)
        if unknown := [path for path in paths if path not in _WRITABLE]:
            raise invalid(f"updateMask: a saved query has no field {unknown[0]} that can be changed.")
        kept = {key: value for key, value in query.items() if key not in paths}
        kept |= {key: given[key] for key in paths if key in given}
        _check(given, kept)
        with self._lock:
            return self._put({**kept, "updateTime": self._now()})

    def _delete(self, name: str) -> None:
        with self._lock:
            self._context.journal.append(_GONE, name.encode())
            self._queries.pop(name, None)

    def _put(self, query: dict[str, Any]) -> dict[str, Any]:
        self._context.journal.append(_PUT, json.dumps(query).encode())
        self._queries[query["name"]] = query
        return query

    def _now(self) -> str:
        moment = timestamp_pb2.Timestamp()
        moment.FromNanoseconds(self._context.clock.now())
        return moment.ToJsonString()


async def _body(request: Request) -> dict[str, Any]:
    try:
        data = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. {error}") from None
    if not isinstance(data, dict):
        raise invalid("Invalid JSON payload received. A saved query is an object.")
    return data


def _check(given: dict[str, Any], query: dict[str, Any]) -> None:
    for key in given:
        if key not in _WRITABLE and key not in _OF_SERVER:
            raise invalid(f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.')
    for key in ("displayName", "visibility"):
        if not query.get(key):
            raise missing_field(f"saved_query.{key}")
    if query["visibility"] not in {"PRIVATE", "SHARED"}:
        raise invalid("saved_query.visibility must be PRIVATE or SHARED.")
    kinds = [key for key in ("loggingQuery", "opsAnalyticsQuery") if query.get(key)]
    if len(kinds) != 1:
        raise invalid("Exactly one of logging_query and ops_analytics_query must be set.")
    if kinds == ["loggingQuery"]:
        compiled(str(query["loggingQuery"].get("filter", "")))
