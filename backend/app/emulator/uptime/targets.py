"""What uptime checks may reach: this machine, and what whoever starts the emulator names.

A policy or a Terraform file can name any host; without this rule it could make a laptop or a CI runner call strangers
or its own network (SSRF). A name is looked up once and the address that was judged is the one connected to, so a name
that changes its answer (DNS rebinding) leads nowhere else.
"""

import asyncio
import fnmatch
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_PLAIN = "http://"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotAllowedError(Exception):
    """The target must not be called; the message says what would allow it."""


class Place(NamedTuple):
    address: str
    port: int
    plain: bool = False
    """Without TLS, whatever the check asks for: on Cloud Run the front end ends it."""


@dataclass(frozen=True, slots=True)
class Targets:
    places: Mapping[str, Place] = field(default_factory=dict)
    """Host name (or id of a resource) -> where it is found on this machine."""
    allowed: Sequence[str] = ()
    """Host names, patterns such as `*.run.app`, or networks beyond this machine; `*` for every one."""

    async def find(self, host: str, port: int) -> Place:
        """The address to connect to.

        Raises:
            NotAllowedError: The host is neither this machine nor named.
            OSError: Its name cannot be looked up.
        """
        mapped = self.places.get(f"{host}:{port}") or self.places.get(host)
        if mapped is not None:
            host, port = mapped.address, mapped.port
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        if mapped is None:
            for address in addresses:
                if not self._may(host, address):
                    raise NotAllowedError(
                        f"{host} is {address}, not this machine: start with --uptime-target {host}=127.0.0.1:PORT to "
                        f"check a local one in its place, or with --allow-targets {host}"
                    )
        return Place(str(addresses[0]), port, mapped is not None and mapped.plain)

    def _may(self, host: str, address: Address) -> bool:
        plain = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if (plain or address).is_loopback:
            return True
        for entry in self.allowed:
            network = _network(entry)
            if network is not None:
                if (plain or address) in network:
                    return True
            elif fnmatch.fnmatchcase(host.lower(), entry.lower()) and not (plain or address).is_link_local:
                # Link-local addresses are where clouds serve credentials: only a network by number opens them.
                return True
        return False


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def parse_place(text: str) -> tuple[str, Place]:
    """`example.com=127.0.0.1:8000`, `example.com:443=localhost:8000`; `example.com=http://127.0.0.1:8000`: without TLS.

    Raises:
        ValueError: Anything else.
    """
    host, equals, place = text.partition("=")
    plain = place.startswith(_PLAIN)
    address, colon, port = place.removeprefix(_PLAIN).rpartition(":")
    if not host or not equals or not colon or not address or not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004  # TCP
        raise ValueError(f"'{text}' is not of the form HOST=ADDRESS:PORT, or HOST=http://ADDRESS:PORT")
    return host.lower(), Place(address.strip("[]"), int(port), plain)
