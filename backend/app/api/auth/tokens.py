"""Access tokens (JWT) and refresh tokens (random, known to the database by their hash)."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import jwt

_ALGORITHM: Final = "HS256"
_ISSUER: Final = "fastapi-cloudops-reference"
_PREFIX: Final = "rt_"


class TokenError(Exception):
    """It is not a token of ours that is still good; `forged` where it never was one."""

    def __init__(self, *, forged: bool = False) -> None:
        super().__init__()
        self.forged = forged


class Claims(NamedTuple):
    """Whom an access token is for: the role is the one at the time it was made."""

    user_id: str
    session_id: str
    role: str


class Tokens:
    """Makes and reads access tokens.

    Args:
        key: Signs.
        previous: Accepted, too.
        seconds: How long one is good.
        now: The time it is made.
    """

    def __init__(self, key: bytes, previous: bytes | None, seconds: int, now: Callable[[], datetime]) -> None:
        self._key_id = _key_id(key)
        self._keys = {_key_id(one): one for one in (previous, key) if one is not None}
        self.seconds = seconds
        self._now = now

    def issue(self, claims: Claims) -> str:
        now = self._now()
        body = {
            "iss": _ISSUER,
            "aud": _ISSUER,
            "sub": claims.user_id,
            "sid": claims.session_id,
            "role": claims.role,
            "iat": now,
            "exp": now + timedelta(seconds=self.seconds),
        }
        return jwt.encode(body, self._keys[self._key_id], _ALGORITHM, {"kid": self._key_id})

    def read(self, token: str) -> Claims:
        """What a token says.

        Raises:
            TokenError: It is not ours, was changed, or is too old.
        """
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            body = jwt.decode(
                token,
                key,
                # Never the one that the token names: datatracker.ietf.org/doc/html/rfc8725, section 3.1.
                [_ALGORITHM],
                audience=_ISSUER,
                issuer=_ISSUER,
                options={"require": ["exp", "iat", "sub", "sid", "role"]},
            )
            return Claims(str(body["sub"]), str(body["sid"]), str(body["role"]))
        except jwt.ExpiredSignatureError:
            raise TokenError from None
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            # Not chained: its text could hold parts of the token.
            raise TokenError(forged=True) from None


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"key id" + key).hexdigest()[:12]


def new_refresh_token() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def hash_of(refresh_token: str) -> str:
    # Of 256 random bits a plain hash is enough; a slow one is for what people make up.
    return hashlib.sha256(refresh_token.encode()).hexdigest()
