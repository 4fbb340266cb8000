"""Which errors are one: docs.cloud.google.com/error-reporting/docs/grouping-errors."""

import base64
import hashlib
import re
from collections.abc import Iterable

from .stacks import Stack, own_frames

_TOP_FRAMES = 5
_TOKENS = 3
# A literal token holds no value of this one call: no digits, no quotes.
_LITERAL = re.compile(r"[A-Za-z_][A-Za-z_\-]*")
_SPLIT = re.compile(r"[^\w\-'\"]+")
_LOOKED_AT = 1000


def group_id(message: str, stack: Stack | None, function: str) -> str:
    """The id of the group an error belongs to.

    A stack trace groups by the exception's type and the five innermost own frames, without line numbers (ours: a
    deployment moves lines); other messages by their first three literal tokens and the function that reported them.
    """
    if stack is not None:
        frames = own_frames(stack.frames)[:_TOP_FRAMES]
        return _hashed(["stack", stack.kind, *(f"{file} {name}" for file, name in frames)])
    tokens = [token for token in _SPLIT.split(message[:_LOOKED_AT]) if _LITERAL.fullmatch(token)]
    return _hashed(["message", function, *tokens[:_TOKENS]])


def _hashed(parts: Iterable[str]) -> str:
    digest = hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=11).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
