"""What Identity-Aware Proxy signs: a JSON Web Token in `X-Goog-IAP-JWT-Assertion`.

Its presence says nothing, since anybody who reaches the service by another way can write the header; so signature,
audience, issuer and times are checked, as cloud.google.com/iap/docs/signed-headers-howto asks for.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from .. import guard

ISSUER: Final = "https://cloud.google.com/iap"
_KEYS_HOST: Final = "www.gstatic.com"
_KEYS_PATH: Final = "/iap/verify/public_key"
_KEYS_LIFE: Final = 3600.0
# A token with a key that is not known yet may be forged: it asks for the keys no more often than this.
_ASK_AGAIN: Final = 60.0
_TIMEOUT_SECONDS: Final = 3.0
_LONGEST_TOKEN: Final = 8192
_LONGEST_KEYS: Final = 2**16
_SKEW_SECONDS: Final = 30

Keys = Mapping[str, str]


def fetch_keys() -> Keys:
    """Google's public keys by their ids; blocks.

    Raises:
        OSError: They cannot be had.
    """
    from http.client import HTTPException, HTTPSConnection  # noqa: PLC0415  # only where IAP is used

    connection = HTTPSConnection(_KEYS_HOST, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", _KEYS_PATH)
        answer = connection.getresponse()
        body = answer.read(_LONGEST_KEYS)
    except HTTPException as error:
        raise OSError(f"{_KEYS_HOST}: {error!r}") from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise OSError(f"{_KEYS_HOST} answered {answer.status}")
    keys: Keys = json.loads(body)
    return keys


class Iap:
    """Checks signed headers.

    Args:
        audience: `/projects/NUMBER/global/backendServices/ID`, or `/projects/NUMBER/locations/REGION/services/NAME` for
            IAP on Cloud Run itself.
        fetch: Gives the keys; may block and raise.
        monotonic: Time by which keys age.
    """

    def __init__(
        self, audience: str, fetch: Callable[[], Keys] = fetch_keys, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._audience = audience
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: Keys = {}
        self._asked = float("-inf")

    async def admits(self, token: bytes) -> bool:
        """Whether IAP has let this request through; never raises."""
        if len(token) > _LONGEST_TOKEN:
            return False
        # Beside the event loop: google.auth is loaded here, and keys may have to be fetched.
        return await asyncio.to_thread(self._check, token)

    def _check(self, token: bytes) -> bool:
        from google.auth import exceptions, jwt  # noqa: PLC0415  # only where IAP is used

        try:
            header = jwt.decode_header(token)  # type: ignore[no-untyped-call]  # google.auth has no types
            keys = self._keys_for(header.get("kid"))
            if header.get("alg") != "ES256" or header.get("kid") not in keys:
                return False
            claims = jwt.decode(  # type: ignore[no-untyped-call]  # as above
                token, certs=dict(keys), audience=self._audience, clock_skew_in_seconds=_SKEW_SECONDS
            )
        except (ValueError, exceptions.GoogleAuthError):  # a token that is not one, forged, or of another time
            return False
        except OSError as error:
            guard.caught("IAP's keys", error)
            return False
        return bool(claims.get("iss") == ISSUER)

    def _keys_for(self, key_id: object) -> Keys:
        age = self._monotonic() - self._asked
        if age > _KEYS_LIFE or (key_id not in self._keys and age > _ASK_AGAIN):
            self._asked = self._monotonic()
            self._keys = self._fetch()
        return self._keys
