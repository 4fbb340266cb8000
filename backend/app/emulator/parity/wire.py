"""One call, over REST or over gRPC, and its answer in one shape."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, cast
from urllib.parse import quote

import grpc
import httpx
from google.protobuf import json_format
from google.rpc import (
    error_details_pb2,  # noqa: F401  # registers the messages of error details
    status_pb2,
)

from ..transport.methods import Method, methods

Wire = Literal["rest", "grpc"]
WIRES: tuple[Wire, ...] = ("rest", "grpc")
_SECONDS = 60.0
_VARIABLE = re.compile(r"\{([\w.]+)(?:=([^}]*))?\}")
_HOSTS = {"google.logging.": "logging.googleapis.com", "google.monitoring.": "monitoring.googleapis.com"}

Token = Callable[[], str]
"""A fresh access token, empty where none is wanted."""


class Answer(NamedTuple):
    code: str
    """`OK`, `INVALID_ARGUMENT`, ..."""
    message: str
    body: Mapping[str, Any]
    """The JSON of the response; of an error, its details."""


class Api(Protocol):
    """Something that answers calls."""

    def call(self, method: str, request: Mapping[str, Any]) -> Answer: ...


def method_of(full_name: str) -> Method:
    return next(one for one in methods() if one.full_name == full_name)


class Rest:
    def __init__(self, client: httpx.Client, base: str = "", token: Token = str) -> None:
        """`base` is one address for all services; without it each is Google's own."""
        self._client = client
        self._base = base.rstrip("/")
        self._token = token

    def call(self, method: str, request: Mapping[str, Any]) -> Answer:
        verb, path, query, body = rest_form(method_of(method), request)
        base = self._base or f"https://{host_of(method)}"
        headers = {"Authorization": f"Bearer {token}"} if (token := self._token()) else {}
        answer = self._client.request(
            verb, base + path, params=httpx.QueryParams(tuple(query)), json=body, headers=headers, timeout=_SECONDS
        )
        try:
            content = answer.json()
        except ValueError:
            return Answer("UNKNOWN", f"HTTP {answer.status_code} without JSON", {})
        error = content.get("error") if isinstance(content, dict) else None
        if isinstance(error, dict):
            return Answer(str(error.get("status", "")), str(error.get("message", "")), _details(error.get("details")))
        return Answer("OK", "", content)


class Grpc:
    def __init__(self, channel: Callable[[str], grpc.Channel]) -> None:
        """`channel` answers the channel to a host."""
        self._channel = channel

    def call(self, method: str, request: Mapping[str, Any]) -> Answer:
        found = method_of(method)
        message = json_format.ParseDict(dict(request), found.request())
        invoke: grpc.UnaryUnaryMultiCallable[Any, Any] = self._channel(host_of(method)).unary_unary(
            found.path,
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=found.response.FromString,
        )
        # As Google's clients do: the front end finds the project by it (google.aip.dev/client-libraries/4222).
        name = str(request.get("name") or request.get("logName") or next(iter(request.get("resourceNames", [])), ""))
        try:
            reply = invoke(message, timeout=_SECONDS, metadata=(("x-goog-request-params", f"name={quote(name)}"),))
        except grpc.RpcError as error:
            call = cast("grpc.Call", error)
            return Answer(call.code().name, call.details() or "", _grpc_details(call))
        return Answer("OK", "", json_format.MessageToDict(reply))


def host_of(method: str) -> str:
    return next(host for prefix, host in _HOSTS.items() if method.startswith(prefix))


def rest_form(method: Method, request: Mapping[str, Any]) -> tuple[str, str, list[tuple[str, str]], Any]:
    """Verb, path, query and body of a call (google/api/http.proto)."""
    left = dict(request)
    for rule in method.http:
        names = [(name, pattern) for name, pattern in _VARIABLE.findall(rule.template)]
        values = {name: str(left.get(_camel(name), "")) for name, _ in names}
        if all(_matches(values[name], pattern) for name, pattern in names):
            break
    else:
        raise ValueError(f"{method.full_name}: no path fits {request}")
    path = quote(_VARIABLE.sub(lambda match: values[match[1]], rule.template), safe="/:%")
    for name in values:
        del left[_camel(name)]
    if rule.body == "*":
        return rule.verb, path, [], left
    body = left.pop(_camel(rule.body), {}) if rule.body else None
    return rule.verb, path, list(_query(left, "")), body


def _matches(value: str, pattern: str) -> bool:
    segments = "/".join({"*": "[^/]+", "**": ".+"}.get(part, re.escape(part)) for part in (pattern or "*").split("/"))
    return re.fullmatch(segments, value) is not None


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _query(data: Mapping[str, Any], prefix: str) -> Any:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _query(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield from ((f"{prefix}{key}", str(one)) for one in value)
        else:
            yield f"{prefix}{key}", str(value).lower() if isinstance(value, bool) else str(value)


def _details(details: Any) -> Mapping[str, Any]:
    return {"details": details} if details else {}


def _grpc_details(call: grpc.Call) -> Mapping[str, Any]:
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(cast("bytes", value))
            found = []
            for one in status.details:
                try:
                    found.append(json_format.MessageToDict(one))
                except (TypeError, json_format.SerializeToJsonError):
                    found.append({"@type": one.type_url})
            return _details(found)
    return {}
