"""Debug entries for one request: a signed header asks for them.

`X-Debug-Log: EXPIRES.SIGNATURE`, where EXPIRES is seconds since the epoch and SIGNATURE the hex HMAC-SHA256 of it.
"""

import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

HEADER: Final = b"x-debug-log"
#: So many requests a minute may be verbose; a leaked header must not flood the log.
MOST_A_MINUTE: Final = 60
# A signature that is good for longer than this was not made for debugging.
_LONGEST_SECONDS: Final = 24 * 3600


def sign(key: bytes, expires: int) -> str:
    """The header's value, good until `expires` (seconds since the epoch)."""
    return f"{expires}.{hmac.new(key, str(expires).encode(), hashlib.sha256).hexdigest()}"


class DebugRequests:
    """Checks the header; without a key no request may ask."""

    def __init__(self, key: bytes, now: Callable[[], float] = time.time) -> None:
        self._key = key
        self.possible = bool(key)
        self._now = now
        self._admitted: deque[float] = deque(maxlen=MOST_A_MINUTE)

    def admits(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether this request's debug entries are written."""
        given = headers.get(HEADER)
        if given is None or len(given) > 128:  # noqa: PLR2004  # far beyond any time and signature
            return False
        expires = given.partition(b".")[0]
        if not expires.isdigit():
            return False
        now = self._now()
        if not now < int(expires) <= now + _LONGEST_SECONDS:
            return False
        if not hmac.compare_digest(given, sign(self._key, int(expires)).encode()):
            return False
        if len(self._admitted) == MOST_A_MINUTE and now - self._admitted[0] < 60.0:  # noqa: PLR2004  # a minute
            return False
        self._admitted.append(now)
        return True
