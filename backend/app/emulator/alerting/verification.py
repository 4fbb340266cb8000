"""Verification codes of notification channels (google/monitoring/v3/notification_service.proto)."""

import secrets
from typing import NamedTuple

from ..clock import NANOS, Clock
from ..status import ApiError, Code, invalid_field
from .messages import Raw

# The proto asks for an expiry and promises no length of its own; a code lives for a day unless asked otherwise, and
# never longer than the month that the proto's comment names.
_USUAL = 24 * 3600 * NANOS
_LONGEST = 30 * 24 * 3600 * NANOS
VERIFIABLE = {"email": "email_address", "sms": "number"}


class _Issued(NamedTuple):
    identity: tuple[str, str]
    """Type and address: a code verifies every channel with the same ones."""
    expires: int


class Codes:
    """Codes that were handed out; they are forgotten when the emulator ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued: dict[str, _Issued] = {}

    def issue(self, channel: Raw, expires: int = 0) -> tuple[str, int]:
        """A new code, and when it ends (ns).

        Raises:
            ApiError: FAILED_PRECONDITION for types that are not verified by code, INVALID_ARGUMENT for a past expiry.
        """
        now = self._clock.now()
        if expires and expires <= now:
            raise invalid_field("expire_time", "must be in the future.")
        self._issued = {code: one for code, one in self._issued.items() if one.expires > now}
        identity = _identity(channel)
        code = f"G-{secrets.randbelow(10**6):06d}"
        while code in self._issued:
            code = f"G-{secrets.randbelow(10**6):06d}"
        self._issued[code] = _Issued(identity, min(expires or now + _USUAL, now + _LONGEST))
        return code, self._issued[code].expires

    def check(self, channel: Raw, code: str) -> None:
        """Refuse a code that was not issued for this address, or no longer holds."""
        issued = self._issued.get(code)
        if issued is None or issued.expires <= self._clock.now() or issued.identity != _identity(channel):
            raise invalid_field("code", "is not a verification code of this channel, or has expired.", code)


def _identity(channel: Raw) -> tuple[str, str]:
    label = VERIFIABLE.get(channel.type_)
    if label is None:
        raise ApiError(
            Code.FAILED_PRECONDITION, f"Channels of type {channel.type_} are not verified by a code: {channel.name}."
        )
    return channel.type_, channel.labels[label]
