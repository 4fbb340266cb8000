"""Which keys hold secrets: whole words of a name, however it is written."""

import re
from collections.abc import Iterable
from enum import IntEnum
from itertools import pairwise
from typing import Final

# The parts of camelCase, snake_case, kebab-case and dotted names; in `APIKey` the capital before a small letter begins
# the next.
_WORD: Final = re.compile(r"(?:[A-Z](?![a-z]))++|[A-Z]?+[a-z]++|[0-9]++")
# No honest key is longer.
_LONGEST: Final = 512

_SECRET: Final = frozenset(
    [
        "accesskey", "accesstoken", "apikey", "apikeys", "authorisation", "authorization", "authtoken", "bearer",
        "cardnumber", "clientsecret", "cookie", "cookies", "credential", "credentials", "creditcard", "csrf", "cvc",
        "cvv", "iban", "idtoken", "jsessionid", "jwt", "otp", "passcode", "passphrase", "passwd", "password",
        "passwords", "phpsessid", "pin", "privatekey", "pwd", "refreshtoken", "secret", "secretkey", "secrets",
        "sessid", "sessionid", "sessionkey", "ssn", "token", "totp", "xsrf",
    ]
)  # fmt: skip
# Two words that mean little alone.
_PHRASES: Final = frozenset(
    tuple(phrase.split())
    for phrase in (
        "access key", "account key", "account number", "activation code", "activation key", "aes key", "api key",
        "api keys", "auth code", "auth key", "backup code", "backup codes", "basic auth", "card no", "card number",
        "card security", "connection string", "credit card", "decryption key", "deploy key", "encryption key",
        "fa code", "gpg key", "hash key", "hmac key", "license key", "login code", "master key", "mfa code",
        "pass phrase", "pass word", "pgp key", "private key", "recovery code", "recovery codes", "reset code",
        "root key", "rsa key", "security answer", "security code", "session id", "session key", "shared key",
        "signing key", "social security", "ssh key", "storage key", "stripe key", "subscription key",
        "verification code",
    )
)  # fmt: skip
# Too common inside of other names: the whole key, or nothing.
_ALONE: Final = frozenset({"auth", "pass", "pw", "sid"})
# A last word that makes any name one: `smtp_pass`.
_LAST: Final = frozenset({"pass"})
# `dbpassword`; no English word ends in one of these.
_ENDINGS: Final = ("password", "passwd", "apikey", "token", "secret")
# A last word that makes the name one of something about the secret: `token_type`, `passwordLength`.
_ABOUT: Final = frozenset(
    [
        "age", "alg", "algorithm", "algorithms", "budget", "count", "counts", "enabled", "error", "errors",
        "exception", "expiration", "expired", "expires", "expiry", "len", "length", "limit", "name", "policy",
        "required", "size", "total", "ttl", "type", "types", "uri", "url", "usage", "used", "version", "warning",
    ]
)  # fmt: skip
# Words that a whole name about expiry has: `token_expires_at`.
_EXPIRY: Final = frozenset({"expiration", "expired", "expires", "expiry"})
# Numbers beneath these count something (`max_tokens`, `cookies`); anything else beneath them is a secret.
_COUNTED: Final = frozenset({"cookies", "tokens"})


class Verdict(IntEnum):
    CLEAR = 0
    COUNTED = 1
    SECRET = 2


def words(key: str) -> tuple[str, ...]:
    """`X-Api-Key`, `xApiKey` and `x.api_key` are all `("x", "api", "key")`."""
    return tuple(word.lower() for word in _WORD.findall(key))


def judge(key: str, extra: Iterable[tuple[str, ...]] = (), keep: frozenset[tuple[str, ...]] = frozenset()) -> Verdict:
    """What the value beneath a key is.

    `extra` and `keep` are names as `words` gives them: a key is secret that has an extra name's words side by side,
    and clear that has the words of a kept name and no others.
    """
    if len(key) > _LONGEST:
        return Verdict.SECRET
    parts = words(key)
    if parts in keep:
        return Verdict.CLEAR
    if any(_contains(parts, name) for name in extra):
        return Verdict.SECRET
    if not parts or parts[-1] in _ABOUT or not _EXPIRY.isdisjoint(parts):
        return Verdict.CLEAR
    if _SECRET.isdisjoint(parts):
        pairs = pairwise(parts)
        alone = (len(parts) == 1 and parts[0] in _ALONE) or parts[-1] in _LAST
        if not alone and not any(pair in _PHRASES for pair in pairs) and not any(p.endswith(_ENDINGS) for p in parts):
            return Verdict.CLEAR if _COUNTED.isdisjoint(parts) else Verdict.COUNTED
    elif _SECRET.isdisjoint(part for part in parts if part not in _COUNTED):
        return Verdict.COUNTED
    return Verdict.SECRET


def _contains(parts: tuple[str, ...], name: tuple[str, ...]) -> bool:
    length = len(name)
    return bool(name) and any(parts[at : at + length] == name for at in range(len(parts) - length + 1))
