"""Ids for requests that httpx sends, by its event hooks, which run once for every hop of a redirect."""

from typing import Any, Final, TypeVar

import httpx

from .. import guard
from .headers import outgoing_headers
from .hosts import AllowedHosts, Hosts, allowed_hosts

Client = TypeVar("Client", bound=httpx.Client | httpx.AsyncClient)

# Extensions follow a request through its redirects; the transport passes over those that it does not know.
_SET_BY_US: Final = "fastapi_cloudops.propagated"


class _Hook:
    def __init__(self, hosts: AllowedHosts) -> None:
        self.hosts = hosts

    def apply(self, request: httpx.Request) -> None:
        try:
            for name in request.extensions.pop(_SET_BY_US, ()):
                request.headers.pop(name, None)
            ours = {
                name: value
                for name, value in outgoing_headers(request.url.raw_host.decode("ascii"), self.hosts).items()
                if name not in request.headers
            }
            request.headers.update(ours)
            request.extensions[_SET_BY_US] = tuple(ours)
        except Exception as error:  # noqa: BLE001  # telemetry never fails the caller
            guard.caught("propagation", error)


class _SyncHook(_Hook):
    def __call__(self, request: httpx.Request) -> None:
        self.apply(request)


class _AsyncHook(_Hook):
    async def __call__(self, request: httpx.Request) -> None:
        self.apply(request)


def propagate_httpx(client: Client, hosts: Hosts) -> Client:
    """Send the current request's ids along with what the client sends to these hosts; the same client.

    A redirect to another host goes without them. Called again, it allows more hosts.

    Raises:
        ValueError: A host pattern cannot be used.
    """
    allowed = allowed_hosts(hosts)
    hooks: list[Any] = client.event_hooks["request"]
    for hook in hooks:
        if isinstance(hook, _Hook):
            hook.hosts |= allowed
            return client
    hooks.append(_AsyncHook(allowed) if isinstance(client, httpx.AsyncClient) else _SyncHook(allowed))
    return client
