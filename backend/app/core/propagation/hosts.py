"""Who may see our ids: hosts that the user names, and nobody else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Self

_PATTERN: Final = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")
# Google gives every customer names under these, so that a wildcard there names strangers
# (publicsuffix.org/list has all three).
_SHARED: Final = (".run.app", ".cloudfunctions.net", ".appspot.com")


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Exact host names and addresses, and suffixes, with their dot, for every name below them. Empty: nobody."""

    exact: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, hosts: str | Iterable[str]) -> Self:
        """Read patterns without scheme, port or path; as one string they are separated by commas.

        `*.example.com` allows every name below `example.com`, and not `example.com` itself.

        Raises:
            ValueError: A pattern is no host, or its wildcard covers names that anybody can get.
        """
        given = hosts.split(",") if isinstance(hosts, str) else hosts
        patterns = [_checked(pattern) for pattern in given if pattern.strip()]
        return cls(
            frozenset(pattern for pattern in patterns if not pattern.startswith("*")),
            tuple(pattern[1:] for pattern in patterns if pattern.startswith("*")),
        )

    def __or__(self, other: "AllowedHosts") -> "AllowedHosts":
        return AllowedHosts(self.exact | other.exact, tuple(dict.fromkeys(self.suffixes + other.suffixes)))

    def __contains__(self, host: str) -> bool:
        name = host.lower().removesuffix(".")
        return name in self.exact or any(name.endswith(suffix) and name != suffix for suffix in self.suffixes)


Hosts = AllowedHosts | str | Iterable[str]


def allowed_hosts(hosts: Hosts) -> AllowedHosts:
    return hosts if isinstance(hosts, AllowedHosts) else AllowedHosts.parse(hosts)


def _checked(pattern: str) -> str:
    host = pattern.strip().lower().removesuffix(".")
    try:
        return str(ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    if not _PATTERN.fullmatch(host) or ".." in host:
        raise ValueError(
            f"{pattern!r} is no host to send ids to; write a name without scheme, port and path, such as"
            " 'api.example.com' or '*.example.com' (names in other scripts in their 'xn--' form)"
        )
    if host.startswith("*") and f".{host[2:]}".endswith(_SHARED):
        raise ValueError(
            f"{pattern!r} would send ids to services of every Google Cloud customer; name your own hosts one by one"
        )
    return host
