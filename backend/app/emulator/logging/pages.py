"""Page sizes and page tokens of Cloud Logging: a token says after which entry the next page begins."""

import base64
import binascii
import hashlib
from typing import NamedTuple

from ..status import invalid

_DEFAULT_PAGE = 50
_LARGEST_PAGE = 1000


class Key(NamedTuple):
    """Where an entry stands in the order of a list."""

    time: int
    name: str


def page_size(size: int) -> int:
    if not 0 <= size <= _LARGEST_PAGE:
        raise invalid(f"page_size {size} is not between 0 and {_LARGEST_PAGE}.")
    return size or _DEFAULT_PAGE


def fingerprint(*parts: str) -> str:
    """What binds a token to the query it came from."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()


def token(key: tuple[int, str], bound_to: str) -> str:
    """Where the next page begins: after a key, not at a number, so that what arrives meanwhile shifts nothing."""
    return base64.urlsafe_b64encode(f"{bound_to}:{key[0]}:{key[1]}".encode()).decode()


def read_token(given: str, bound_to: str) -> Key:
    try:
        bound, time, name = base64.urlsafe_b64decode(given.encode()).decode().split(":", 2)
        key = Key(int(time), name)
    except (binascii.Error, ValueError):
        bound, key = "", Key(0, "")
    if bound != bound_to:
        raise invalid("page_token doesn't match arguments from the request")
    return key
