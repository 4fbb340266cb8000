"""Every method of transport/methods.json, answered or UNIMPLEMENTED, over each wire; and paths that are no method."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from starlette.routing import BaseRoute, Route

from ..parts import Parts
from ..project import Context
from ..transport.methods import Method, RestMethod, methods, rest_methods

_APIS = ("/v1/", "/v1beta1/", "/v2/", "/v3/")


class Row(NamedTuple):
    method: Method | RestMethod
    grpc: str
    rest: str
    """`answered`, `UNIMPLEMENTED`, or empty: the wire does not have the method."""
    path: str

    @property
    def answered(self) -> bool:
        return "answered" in {self.grpc, self.rest}


def rows(services: Mapping[str, object]) -> Iterator[Row]:
    known: list[Method | RestMethod] = [*methods(), *rest_methods()]
    for method in known:
        service = services.get(method.service)
        both = hasattr(service, method.attribute)
        # Some services read the JSON itself.
        rest = both or hasattr(service, f"{method.attribute}_json")
        has_grpc = isinstance(method, Method)
        rules = [f"{rule.verb} {rule.template}" for rule in method.http[:1]]
        yield Row(
            method,
            _word(answered=both) if has_grpc else "",
            _word(answered=rest) if rules else "",
            "".join(rules),
        )


def page() -> str:
    """The table as Markdown."""
    parts = Parts(Context())
    found = sorted(rows(parts.services), key=lambda row: row.method.full_name)
    answered = sum(row.answered for row in found)
    names = len({row.method.service for row in found})
    lines = [
        "# Coverage of the emulator",
        "",
        "<!-- Written by `make snapshots` from backend/app/emulator/coverage; edit that. -->",
        "",
        f"{answered} of {len(found)} methods of {names} services are answered. The others answer UNIMPLEMENTED",
        "(HTTP 501) with their name. Both wires end in the same object. An empty cell: the API publishes no REST path",
        "for the method, or the emulator installs no package with its messages and answers over REST alone.",
        "",
        "| service | answered | methods |",
        "| --- | --- | --- |",
    ]
    tables: list[str] = []
    for service, group in groupby(found, key=lambda row: row.method.service):
        several = list(group)
        anchor = service.replace(".", "").lower()
        lines.append(f"| [{service}](#{anchor}) | {sum(row.answered for row in several)} | {len(several)} |")
        tables += _table(service, several)
    return "\n".join([*lines, *tables, *_paths(parts.routes)]) + "\n"


def _word(*, answered: bool) -> str:
    return "answered" if answered else "UNIMPLEMENTED"


def _table(service: str, several: Sequence[Row]) -> Iterator[str]:
    yield from ("", f"## {service}", "", "| method | gRPC | REST | path |", "| --- | --- | --- | --- |")
    for row in several:
        method = row.method
        stream = isinstance(method, Method) and (method.client_streams or method.server_streams)
        path = f"`{row.path}`" if row.path else ""
        yield f"| {method.name}{' (stream)' if stream else ''} | {row.grpc} | {row.rest} | {path} |"


def _paths(routes: Sequence[BaseRoute]) -> Iterator[str]:
    """Paths of Google's APIs that are no method of a published proto."""
    yield from ("", "## Other paths", "", "| path | verbs |", "| --- | --- |")
    for route in routes:
        if isinstance(route, Route) and route.path.startswith(_APIS):
            verbs = ", ".join(sorted((route.methods or set()) - {"HEAD"}))
            yield f"| `{route.path}` | {verbs} |"
