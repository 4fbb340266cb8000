"""Who sent a request: the other end of the socket, unless proxies that we trust say more.

What a client writes into `X-Forwarded-For` stands at its left, and what our own proxies append at its right, so the
header is only ever read from the right, and only as far as the configuration vouches for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, Self

Address = IPv4Address | IPv6Address

# Hops of what Google Cloud puts before a service.
_NAMED: Final = {
    # The front end appends the client; reported by users, as in noricha-vr/vrc-ta-hub#98.
    "cloud_run": "1",
    # It appends "<client-ip>,<load-balancer-ip>": cloud.google.com/load-balancing/docs/https#x-forwarded-for_header,
    # and a service on Cloud Run behind it sees the same (kubernetes/registry.k8s.io, pkg/net/clientip/clientip.go).
    "load_balancer": "2",
}
_FORWARDED_PREFIX: Final = "forwarded:"
_UNIX: Final = "unix"
_MOST_HOPS: Final = "16"
# Only an address that we trust leads on to the next, so a stranger cannot make this walk long; a mistake could.
_MOST_ENTRIES: Final = 64
_LONGEST_ENTRY: Final = 256
_GARBAGE: Final = "?"
_EXAMPLES: Final = (
    "allowed: a number of hops from 1 to 16, networks such as '10.0.0.0/8,35.191.0.0/16', 'cloud_run',"
    " 'load_balancer', or nothing"
)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Whom to believe about the client: nobody, the last `hops` entries of the header, or proxies in `networks`.

    `unix` also trusts a peer on a unix socket; `forwarded` reads RFC 7239's `Forwarded` instead of `X-Forwarded-For`.
    """

    hops: int = 0
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False
    forwarded: bool = False

    def __bool__(self) -> bool:
        return bool(self.hops or self.networks or self.unix)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a setting.

        - "" trusts nobody: the client is the other end of the socket.
        - "2": each request comes through proxies of ours that append two entries; the client is the first of them.
        - "cloud_run" is "1", "load_balancer" (Google's application load balancers) is "2".
        - "10.0.0.0/8,192.0.2.7": proxies by address, with "unix" for a proxy on a unix socket.
        - "forwarded:" before any of these reads `Forwarded` instead of `X-Forwarded-For`.

        Raises:
            ValueError: It is none of these, or would trust everybody.
        """
        value = text.strip().lower()
        forwarded = value.startswith(_FORWARDED_PREFIX)
        value = value.removeprefix(_FORWARDED_PREFIX).strip()
        value = _NAMED.get(value, value)
        if value.isascii() and value.isdecimal():
            if len(value) > len(_MOST_HOPS) or int(value) > int(_MOST_HOPS):
                raise ValueError(f"{text!r}: so many proxies are a mistake; {_EXAMPLES}")
            return cls(hops=int(value), forwarded=forwarded)
        parts = [part.strip() for part in value.split(",") if part.strip()]
        networks = tuple(_network(part) for part in parts if part != _UNIX)
        return cls(networks=networks, unix=_UNIX in parts, forwarded=forwarded)


#: Trusts nobody.
NONE: Final = TrustedProxies()


def client_address(scope: Mapping[str, Any], trusted: TrustedProxies = NONE) -> str:
    """The client's address as text, without port or zone; empty when the socket has none and nobody says more.

    Args:
        scope: Of an ASGI request or websocket.
        trusted: Whom to believe.
    """
    client = scope.get("client")
    peer = (client[0] or "") if client else ""
    if not trusted:
        return _shown(peer)
    if trusted.hops:
        return _by_hops(scope, trusted) or _shown(peer)
    return _by_networks(scope, trusted, peer)


def _by_hops(scope: Mapping[str, Any], trusted: TrustedProxies) -> str:
    for position, entry in enumerate(_from_the_right(scope, trusted.forwarded), 1):
        if position == trusted.hops:
            return _as_address(entry)
    return ""  # fewer entries than our proxies append: the request did not come through all of them


def _by_networks(scope: Mapping[str, Any], trusted: TrustedProxies, peer: str) -> str:
    if not (_in(peer, trusted) if peer else trusted.unix):
        return _shown(peer)
    hop = _as_address(peer)
    for position, entry in enumerate(_from_the_right(scope, trusted.forwarded)):
        address = _as_address(entry)
        if not address or position == _MOST_ENTRIES:
            break  # the last address that a trusted proxy has vouched for
        hop = address
        if not _in(hop, trusted):
            break
    return hop


def _in(text: str, trusted: TrustedProxies) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in trusted.networks)


def _from_the_right(scope: Mapping[str, Any], forwarded: bool) -> Iterator[str]:
    """Entries of the header, the newest first; several lines are one list (RFC 9110, section 5.3)."""
    wanted = b"forwarded" if forwarded else b"x-forwarded-for"
    lines = [value for name, value in scope["headers"] if name == wanted]
    for line in reversed(lines):
        # Split by commas alone: an open quote that a client has written must not swallow what proxies append to it.
        for entry in reversed(line.rsplit(b",", _MOST_ENTRIES + 1)):
            text = entry.decode("latin-1").strip() if len(entry) <= _LONGEST_ENTRY else _GARBAGE
            if text:
                yield _forwarded_for(text) if forwarded else text


def _forwarded_for(element: str) -> str:
    """The node of a `Forwarded` element (RFC 7239, section 4); empty when it names none, or several."""
    values = [
        value.strip()
        for name, equals, value in (pair.partition("=") for pair in element.split(";"))
        if equals and name.strip().lower() == "for"
    ]
    if len(values) != 1:
        return ""
    [value] = values
    quoted = value[1:-1]
    if value.startswith('"'):
        return quoted if value == f'"{quoted}"' else ""
    return value


# Reading an address costs five times as much as all else here, and clients come again.
@lru_cache(maxsize=1024)
def _address(text: str) -> Address | None:
    """The address in an entry: bare, with a port, in brackets, or with a zone; None when there is none."""
    text = text.strip()
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or not _is_port(port):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(f":{port}"):
            return None
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A socket that serves both families shows IPv4 clients as ::ffff:192.0.2.1 (RFC 4291, section 2.5.5.2).
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isdecimal() and len(text) <= len(":65535"))


def _shown(peer: str) -> str:
    if ":" not in peer:  # IPv4, or a test's name: as the server gave it
        return peer
    return _as_address(peer) or peer


@lru_cache(maxsize=1024)
def _as_address(text: str) -> str:
    """The address in an entry, in its short form; empty when there is none."""
    address = _address(text)
    return "" if address is None else str(address)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network ({error}); {_EXAMPLES}") from None
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} would trust everybody, and so what any client writes; {_EXAMPLES}")
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{text!r}: write such a network as IPv4, the form in which its addresses are compared")
    return network
