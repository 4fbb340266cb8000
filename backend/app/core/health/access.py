"""Who is told more than the status: whoever holds the token, comes through IAP, or asks from an allowed network."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, Final, Self

from ..client_address import NONE, TrustedProxies, client_address
from ..settings import secret
from .iap import Iap

if TYPE_CHECKING:
    from ..settings import Settings

_BEARER: Final = b"bearer "
_IAP: Final = b"x-goog-iap-jwt-assertion"
_FORWARDED: Final = frozenset({b"forwarded", b"x-forwarded-for"})


@dataclass(frozen=True, slots=True)
class Access:
    """The ways in; with none of them nobody is told.

    Attributes:
        token: Bearer token; empty: none opens.
        networks: Clients that are told without a token.
        iap: Checks what Identity-Aware Proxy signed; None: its header opens nothing.
        trusted_proxies: Whom to believe about the client's address.
    """

    token: bytes = b""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    iap: Iap | None = None
    trusted_proxies: TrustedProxies = NONE

    @classmethod
    def configured(cls, settings: "Settings") -> Self:
        return cls(
            secret(settings.health_token),
            TrustedProxies.parse(settings.health_networks).networks,
            Iap(settings.health_iap_audience) if settings.health_iap_audience else None,
            TrustedProxies.parse(settings.trusted_proxies),
        )

    async def admits(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request may see details."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        if self._holds_token(headers.get(b"authorization", [])):
            return True
        if self.networks and self._comes_from_a_network(scope, headers):
            return True
        signed = headers.get(_IAP, [])
        return self.iap is not None and len(signed) == 1 and await self.iap.admits(signed[0])

    def _holds_token(self, given: list[bytes]) -> bool:
        if not self.token or len(given) != 1 or given[0][: len(_BEARER)].lower() != _BEARER:
            return False
        # In constant time: how much of a guess is right must not show in how long the answer takes.
        return hmac.compare_digest(given[0][len(_BEARER) :], self.token)

    def _comes_from_a_network(self, scope: Mapping[str, Any], headers: Mapping[bytes, object]) -> bool:
        if not self.trusted_proxies and not _FORWARDED.isdisjoint(headers):
            return False  # somebody has passed it on, so its sender is not the one who asks
        try:
            address = ip_address(client_address(scope, self.trusted_proxies))
        except ValueError:
            return False
        return any(address in network for network in self.networks)
