"""Pages of a list: a token is the number of items that came before."""

from collections.abc import Sequence
from typing import TypeVar

from .status import invalid_field

Item = TypeVar("Item")


def page_of(items: Sequence[Item], size: int, token: str, largest: int) -> tuple[Sequence[Item], str]:
    """One page, and the token of the next one (empty after the last).

    Raises:
        ApiError: INVALID_ARGUMENT for a token that no call returned.
    """
    start = offset_of(token)
    end = start + (size if 0 < size < largest else largest)
    return items[start:end], str(end) if end < len(items) else ""


def offset_of(token: str) -> int:
    if token and (not token.isdecimal() or len(token) > len(str(2**63))):
        raise invalid_field("pageToken", "It is not one that a previous call returned.", token)
    return int(token or 0)
