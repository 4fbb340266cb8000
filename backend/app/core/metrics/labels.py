"""What becomes of a label's value before it is counted: clients by `CLIENT_IDENTITY`, accounts hashed, text bounded."""

import os
import socket
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, Literal, get_args

from ..redaction import Redaction
from .catalogue import Metric

ClientIdentity = Literal["full", "prefix", "hash", "off"]

#: Everything that a guard does not tell apart.
OTHER: Final = "other"
#: How many values of open labels a guard tells apart, per metric and process.
DEFAULT_KEEP: Final = 20
#: The API takes 1,024 characters (google/api/label.proto); nobody reads as many.
_LONGEST: Final = 200
# What a provider gives one customer, and what one site gets (RFC 6177).
_IPV6_HOST: Final = 64
_IPV6_PREFIX: Final = 48
_IPV4_PREFIX: Final = 24
# A socket that serves both families shows IPv4 clients like this (RFC 4291, section 2.5.5.2).
_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"


class Labels:
    """The rules of one process.

    Args:
        client_identity: How a client's address is told: `full` (IPv6 by its /64), `prefix` (/24 or /48), `hash`, `off`.
        hash_key: Key of the hashes. Empty: one that this process made up, so that hashes end with it.
        keep: How many values of open labels are told apart, per metric and process.
    """

    def __init__(
        self, client_identity: ClientIdentity = "full", hash_key: bytes = b"", keep: int = DEFAULT_KEEP
    ) -> None:
        self.client_identity = client_identity
        self.keep = keep
        self._hash = Redaction(hash_key=hash_key).hash

    @classmethod
    def from_environment(cls) -> "Labels":
        """For what is counted before `instrument(app)`, which checks the settings and says what is wrong with them."""
        identity = os.environ.get("CLIENT_IDENTITY", "full")
        keep = os.environ.get("METRICS_OPEN_VALUES", "")
        return cls(
            # What cannot be read tells less rather than more.
            identity if identity in get_args(ClientIdentity) else "off",  # type: ignore[arg-type]  # just compared
            os.environ.get("HASH_KEY", "").encode(),
            int(keep) if keep.isdecimal() and int(keep) else DEFAULT_KEEP,
        )

    def values(self, metric: Metric, labels: Mapping[str, object]) -> tuple[str, ...]:
        """The values that are counted, in the catalogue's order. `email` is taken for `account`.

        Raises:
            CatalogueError: A label is missing, unknown, or has a value outside of its closed set.
        """
        if "email" in labels:
            labels = dict(zip(names(metric, labels), labels.values(), strict=True))
        texts = metric.values({label: _text(value) for label, value in labels.items()})
        if not metric.guards:
            return texts
        return tuple(
            self._clean(metric.guards.get(label, ""), text) for label, text in zip(metric.labels, texts, strict=True)
        )

    def _clean(self, guard: str, text: str) -> str:
        return self.address(text) if guard == "address" else self.account(text) if guard == "account" else plain(text)

    def address(self, text: str) -> str:
        if self.client_identity == "off":
            return ""
        shown = _network(plain(text), self.client_identity == "prefix")
        return self._hash(shown) if self.client_identity == "hash" and shown else shown

    def account(self, text: str) -> str:
        """A keyed hash of an account's name or e-mail address, whatever its capitals."""
        text = text.strip().casefold()
        return self._hash(text) if text else ""


def names(metric: Metric, labels: Iterable[str]) -> list[str]:
    """The names of a metric's labels as somebody wrote them; `email` is taken for `account`."""
    given = list(labels)
    if "account" in metric.labels and "email" not in metric.labels and "account" not in given:
        return ["account" if label == "email" else label for label in given]
    return given


def _text(value: object) -> str:
    """A value as people write it: an enumeration's own, an error's type."""
    if type(value) is str:
        return value
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, BaseException):
        value = type(value)
    return value.__qualname__ if isinstance(value, type) else "" if value is None else str(value)


def plain(text: str) -> str:
    """Text that the API takes: no lone surrogates, of bounded length."""
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@lru_cache(maxsize=1024)
def _network(text: str, coarse: bool) -> str:
    try:
        if ":" not in text:
            packed = socket.inet_pton(socket.AF_INET, text)
        else:
            packed = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
            if not packed.startswith(_IPV4_MAPPED):
                # One client has 2**64 addresses to choose from.
                return _shown(socket.AF_INET6, packed, _IPV6_PREFIX if coarse else _IPV6_HOST)
            packed = packed[len(_IPV4_MAPPED) :]
    except (OSError, ValueError):  # ValueError: a NUL in it
        return "invalid" if coarse else text  # a test client's name, or `unknown`
    return _shown(socket.AF_INET, packed, _IPV4_PREFIX) if coarse else socket.inet_ntop(socket.AF_INET, packed)


def _shown(family: int, packed: bytes, bits: int) -> str:
    network = packed[: bits // 8].ljust(len(packed), b"\0")
    return f"{socket.inet_ntop(family, network)}/{bits}"
