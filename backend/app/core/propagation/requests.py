"""Ids for requests that a `requests.Session` sends."""

from typing import Any, Final
from urllib.parse import urlparse

import requests

from .. import guard
from .headers import pass_on
from .hosts import AllowedHosts, Hosts, allowed_hosts

_ATTRIBUTE: Final = "_fastapi_cloudops_hosts"


def propagate_requests(session: requests.Session, hosts: Hosts) -> requests.Session:
    """Send the current request's ids along with what the session sends to these hosts; the same session.

    A redirect to another host goes without them. Called again, it allows more hosts.

    Raises:
        ValueError: A host pattern cannot be used.
    """
    before: AllowedHosts | None = getattr(session, _ATTRIBUTE, None)
    setattr(session, _ATTRIBUTE, allowed_hosts(hosts) | (before or AllowedHosts()))
    if before is not None:
        return session
    plain = session.send

    # `send` and no adapter: it is called for each hop of a redirect, and adapters that are mounted later keep their
    # place. Hooks of requests see responses only.
    def send(request: requests.PreparedRequest, **options: Any) -> requests.Response:
        try:
            # Read as the adapter reads it, so that both see the same host.
            host = urlparse(request.url or "").hostname
            pass_on(request.headers, host, getattr(session, _ATTRIBUTE))
        except Exception as error:  # noqa: BLE001  # telemetry never fails the caller
            guard.caught("propagation", error)
        return plain(request, **options)

    session.send = send  # type: ignore[method-assign]  # of this one session
    return session
