"""Which limits hold where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from limits import RateLimitItem, parse_many

API: Final = "/api/v1"
#: Probes come as often as they like: a limit would take a healthy instance out.
EXEMPT: Final = ("/health",)


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits that hold together.

    Attributes:
        name: In headers, settings and keys.
        limits: Each has to be kept; the first that is exceeded refuses.
        by: What is counted: addresses, or users where a valid access token names one.
    """

    name: str
    limits: tuple[RateLimitItem, ...]
    by: Literal["address", "user"] = "user"


_LIMITS: Final = {
    "default": "3000/minute",
    "login": "20/minute;200/hour",
    "register": "10/minute;60/hour",
    "refresh": "60/minute",
    "content": "60/minute;1000/hour",
}
# Whoever has no account yet, or wants into one, is counted by where they are.
_BY_ADDRESS: Final = frozenset({"login", "register", "refresh"})
_ROUTES: Final = {
    ("POST", f"{API}/auth/login"): "login",
    ("POST", f"{API}/auth/register"): "register",
    ("POST", f"{API}/auth/refresh"): "refresh",
    ("POST", f"{API}/content"): "content",
}


class Policies:
    """The policy of each route.

    Raises:
        ValueError: `changed` names no policy.
    """

    def __init__(self, changed: Mapping[str, str]) -> None:
        if unknown := sorted(changed.keys() - _LIMITS.keys()):
            raise ValueError(f"RATE_LIMITS names no policy: {', '.join(unknown)}; there are {', '.join(_LIMITS)}")
        self._policies = {
            name: Policy(name, tuple(parse_many(text)), "address" if name in _BY_ADDRESS else "user")
            for name, text in {**_LIMITS, **changed}.items()
        }

    def of(self, method: str, template: str) -> Policy:
        return self._policies[_ROUTES.get((method, template), "default")]
