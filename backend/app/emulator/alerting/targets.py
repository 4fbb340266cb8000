"""Where a webhook may go: a name is resolved once, judged by its addresses, and the judged address is the one used."""

import asyncio
import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx


class RefusedTargetError(Exception):
    """The target must not be called; the message says why and what would allow it."""


class Target(NamedTuple):
    url: httpx.URL
    """With the address in place of the host name, so that a second look-up cannot lead elsewhere."""
    headers: dict[str, str]
    extensions: dict[str, str]


async def resolve(url: str, *, anywhere: bool) -> Target:
    """Look up the host of `url`.

    Raises:
        RefusedTargetError: Not http(s), or an address beyond loopback while `anywhere` is false.
        OSError: The name cannot be resolved.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host:
        raise RefusedTargetError("only http and https URLs are called")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = await resolve_host(host, port, anywhere=anywhere)
    shown = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004  # IPv6
    target = httpx.URL(url).copy_with(host=shown)
    return Target(target, {"Host": parts.netloc.rpartition("@")[2]}, {"sni_hostname": host})


async def resolve_host(host: str, port: int, *, anywhere: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address to use for a host; errors as of `resolve`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
    for address in addresses:
        if not anywhere and not _is_loopback(address):
            raise RefusedTargetError(
                f"{host} is {address}, not this machine: the emulator calls loopback addresses only, "
                "unless it is started with webhooks allowed to go beyond"
            )
    return addresses[0]


def _is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def without_secrets(url: str) -> str:
    """For people to read: no user name, no password, no query (it carries the token of webhook_tokenauth)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?..." if parts.query else "")
