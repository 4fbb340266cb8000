"""Where the health endpoints are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

Role = Literal["health", "live", "ready", "startup", "detailed"]
Below = Literal["live", "ready", "startup", "detailed"]
PREFIX: Final = "/health"
_BELOW: Final[tuple[Below, ...]] = ("live", "ready", "startup", "detailed")


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of the endpoints: a prefix, and names below it.

    Attributes:
        prefix: Of all of them, and the path of the first; empty for an app that is mounted.
        live: Says that the process answers, without asking anybody.
        ready: Says whether requests should come.
        startup: Says whether the service has started.
        detailed: Tells everything, to whoever may know.
        groups: More of them: name below the prefix to the tag of the checks it asks.
    """

    prefix: str = PREFIX
    live: str = "live"
    ready: str = "ready"
    startup: str = "startup"
    detailed: str = "detailed"
    groups: tuple[tuple[str, str], ...] = ()

    @classmethod
    def named(cls, prefix: str, names: Mapping[Below, str]) -> Self:
        live, ready, startup, detailed = (names.get(role, role) for role in _BELOW)
        return cls(prefix, live, ready, startup, detailed)

    def of_roles(self) -> Iterator[tuple[Role, str]]:
        yield "health", self.prefix or "/"
        yield "live", f"{self.prefix}/{self.live}"
        yield "ready", f"{self.prefix}/{self.ready}"
        yield "startup", f"{self.prefix}/{self.startup}"
        yield "detailed", f"{self.prefix}/{self.detailed}"

    def of_groups(self) -> Iterator[tuple[str, str]]:
        """Tag and path."""
        for name, tag in self.groups:
            yield tag, f"{self.prefix}/{name}"
