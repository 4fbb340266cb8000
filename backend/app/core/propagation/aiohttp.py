"""Ids for requests that aiohttp's client sends: `ClientSession(trace_configs=[aiohttp_trace_config(hosts=[...])])`."""

import importlib
from typing import Any, Final

from .. import guard
from .headers import pass_on
from .hosts import Hosts, allowed_hosts

# By name: type checkers need not have it, whoever imports this module does.
_aiohttp: Final = importlib.import_module("aiohttp")
_yarl: Final = importlib.import_module("yarl")


def aiohttp_trace_config(hosts: Hosts) -> Any:
    """An `aiohttp.TraceConfig` that sends the current request's ids to these hosts.

    A redirect to another host goes without them.

    Raises:
        ValueError: A host pattern cannot be used.
    """
    allowed = allowed_hosts(hosts)

    async def start(_session: Any, _context: Any, params: Any) -> None:
        try:
            pass_on(params.headers, params.url.raw_host, allowed)
        except Exception as error:  # noqa: BLE001  # telemetry never fails the caller
            guard.caught("propagation", error)

    # aiohttp tells a redirect before it resolves the address, and goes on with the same headers.
    async def redirect(_session: Any, _context: Any, params: Any) -> None:
        try:
            pass_on(params.headers, _target(params), allowed)
        except Exception as error:  # noqa: BLE001  # telemetry never fails the caller
            guard.caught("propagation", error)

    config = _aiohttp.TraceConfig()
    config.on_request_start.append(start)
    config.on_request_redirect.append(redirect)
    return config


def _target(params: Any) -> str | None:
    """Host of the next hop; None, to which nothing is sent, where it cannot be read."""
    location = params.response.headers.get("Location") or params.response.headers.get("URI")
    try:
        host = params.url.join(_yarl.URL(location)).raw_host if location else None
    except ValueError:  # aiohttp refuses it as well, in its own words
        return None
    return str(host) if host else None
