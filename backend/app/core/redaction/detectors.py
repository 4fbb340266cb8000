"""Secrets that show in any text by their form.

Every pattern is linear by construction. Repetitions are possessive (`++`, `*+`) or bounded by a small number, so that
nothing once taken is given back; a pattern that begins with a run looks behind first, so that it starts once a run and
not once a letter.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final, NamedTuple

Replace = Callable[[str], str]


# What a text may hold, by what it takes at least: bits, because they are asked for on every entry.
PAIR: Final = 1
MAIL: Final = 2
CAPITAL_B: Final = 4
RUN: Final = 8
CARD: Final = 16


class Detector(NamedTuple):
    """`pattern` finds candidates in texts suspect of `of`; group 1 is the secret, where `is_secret` agrees."""

    rule: str
    of: int
    pattern: re.Pattern[str]
    is_secret: Callable[[str], bool] | None = None

    def __call__(self, text: str, replace: Replace) -> str:
        pieces = []
        done = at = 0
        while (match := self.pattern.search(text, at)) is not None:
            if self.is_secret is None or self.is_secret(match[1]):
                pieces += [text[done : match.start(1)], replace(match[1])]
                done = at = match.end(1)
            else:
                at = match.start() + 1  # a candidate may begin inside of a false one
        return "".join([*pieces, text[done:]]) if pieces else text


# --- card numbers

_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes(48 + n for n in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_SHORTEST_CARD: Final = 13
_LONGEST_CARD: Final = 19


def is_card_number(text: str) -> bool:
    """13 to 19 digits, perhaps with spaces or hyphens, of an issuer's range and with a right check digit.

    Source: ISO/IEC 7812-1. The first digit names the industry; 2 to 6 are those that issue cards for payment (times in
    milliseconds or nanoseconds begin with 1, and are none). Annex B has the check digit.
    """
    digits = text.replace(" ", "").replace("-", "").encode("ascii", "replace")
    if not _SHORTEST_CARD <= len(digits) <= _LONGEST_CARD or digits[0] not in b"23456" or not digits.isdigit():
        return False
    total = sum(digits[::-2]) + sum(digits[-2::-2].translate(_DOUBLED))
    return (total - 48 * len(digits)) % 10 == 0


def _card(groups: str) -> Detector:
    pattern = re.compile(rf"(?<![0-9A-Za-z_])(?<![0-9]\.)([2-6]{groups})(?![0-9A-Za-z_])")
    return Detector("card", CARD, pattern, is_card_number)


# --- Authorization: Basic and Bearer

# What follows these words in prose.
_PROSE: Final = frozenset(
    [
        "auth", "authentication", "authorization", "authorisation", "credentials", "credential", "header",
        "headers", "scheme", "token", "tokens",
    ]
)  # fmt: skip


def _is_bearer(value: str) -> bool:
    return value.lower() not in _PROSE and not value.startswith("realm")


def _is_basic(value: str) -> bool:
    """Base64 of `user:password` (RFC 7617)."""
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return False


# The characters of token68 (RFC 9110, section 11.2). Without the scheme's capital only before something long: "the
# bearer asked".
_TOKEN68: Final = r"[A-Za-z0-9._~+/-]"
_EMAIL_LOCAL: Final = r"[\w.+-]"

DETECTORS: Final = (
    Detector(
        "private_key",
        CAPITAL_B,
        # To its end, or to the end of the text: half a key is a secret too.
        re.compile(
            r"(-----BEGIN (?:(?!PRIVATE KEY)[A-Z0-9]{1,16}+ ){0,4}+PRIVATE KEY(?: BLOCK)?+-----"
            r"(?:[^-]++|-(?!----END ))*+(?:-----END [A-Z0-9 ]{1,64}+-----)?+)"
        ),
    ),
    Detector(
        "credentials",
        CAPITAL_B,
        re.compile(rf"Bearer[ \t]{{1,8}}+({_TOKEN68}{{4,}}+=*+)"),
        _is_bearer,
    ),
    Detector(
        "credentials",
        RUN,
        re.compile(rf"(?i:bearer)[ \t]{{1,8}}+((?=\w{{13}}){_TOKEN68}++=*+)", re.ASCII),
        _is_bearer,
    ),
    Detector(
        "credentials",
        CAPITAL_B,
        re.compile(r"Basic[ \t]{1,8}+([A-Za-z0-9+/_-]{4,}+=*+)"),
        _is_basic,
    ),
    Detector(
        "credentials",
        RUN,
        re.compile(r"(?i:basic)[ \t]{1,8}+((?=\w{13})[A-Za-z0-9+/_-]++=*+)", re.ASCII),
        _is_basic,
    ),
    Detector(
        "jwt",
        RUN,
        # `eyJ` is base64 for `{"`. Without further parts too: a token that was cut.
        re.compile(r"(eyJ[\w-]{10,}+(?:\.[\w-]*+){0,4}+)", re.ASCII),
    ),
    Detector("google_key", RUN, re.compile(r"(AIza[\w-]{30,}+)", re.ASCII)),
    Detector("google_key", RUN, re.compile(r"((?:ya29\.|GOCSPX-)[\w-]{16,}+)", re.ASCII)),
    Detector(
        "token",
        RUN,
        re.compile(r"((?:gh[pousr]_|github_pat_|glpat-|npm_|pypi-)[\w-]{16,}+)", re.ASCII),
    ),
    Detector("token", RUN, re.compile(r"((?:xox[a-z]|xapp)-[\w-]{13,}+)", re.ASCII)),
    Detector(
        "token",
        RUN,
        re.compile(r"((?:[prs]k_(?:live|test)_|whsec_|(?<![A-Za-z0-9])sk-)[\w-]{16,}+)", re.ASCII),
    ),
    Detector("token", RUN, re.compile(r"((?:AKIA|ASIA)[0-9A-Z]{16})")),
    Detector("token", RUN, re.compile(r"(SG\.[\w-]{16,64}+\.[\w-]{16,}+)", re.ASCII)),
    # In the groups that are printed on cards, the longest first, or as one number.
    _card(r"[0-9]{3}([ -])[0-9]{4}(?:\2[0-9]{4}){2}\2[0-9]{3}"),
    _card(r"[0-9]{3}([ -])[0-9]{4}\2[0-9]{4}\2[0-9]{1,4}+"),
    _card(r"[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5}+"),
    _card(r"[0-9]{12,18}+"),
    Detector(
        "email",
        MAIL,
        re.compile(
            rf"(?<!{_EMAIL_LOCAL})({_EMAIL_LOCAL}++(?:'{_EMAIL_LOCAL}++){{0,2}}+(?:@|%40)"
            r"(?:[^\W_][\w-]*+\.)++[^\W\d_]{2,}+)"
        ),
    ),
)


# --- what may a text hold?

# Letters, digits, `_` and `-` become `w`, a space stays, all else is `.`: long runs and groups show.
_SHAPES: Final = bytes(
    ord("w") if re.fullmatch(rb"[0-9A-Za-z_-]", bytes([byte])) else byte if byte == ord(" ") else ord(".")
    for byte in range(256)
)
# The shortest that a detector of runs asks for, and a card number.
_LONG_RUN: Final = b"w" * 13
_RUN: Final = re.compile(rb"w++")
_GROUPS: Final = (b"wwww wwww wwww w", b"wwww wwwwww wwww")
# In the long run, or shortly before it.
_BEFORE: Final = 20
_FAMILIAR: Final = re.compile(
    rb"eyJ|AIza|ya29|GOCSPX|gh[pousr]_|github_pat|glpat|npm_|pypi|xox|xapp|k_live|k_test|whsec|sk-|A[KS]IA|SG\.|earer|EARER"
    rb"|asic|ASIC|[0-9]{13}|[0-9]{4}-[0-9]{4}"
)


def suspect(text: str) -> int:
    """What a text may hold; 0 means that no detector can find anything. A few nanoseconds a letter at most.

    Most secrets need one of a few characters, which `memchr` finds at no cost. The others need a long run of letters
    or digits, or digits in groups, which `bytes.translate` shows, and only what stands there is looked at.
    """
    found = 0
    if ":" in text or "=" in text or "--" in text or "</" in text or "%3" in text or ("'" in text and "', " in text):
        found = PAIR
    if "@" in text or ("%" in text and "%40" in text):
        found |= MAIL
    if "B" in text:
        found |= CAPITAL_B
    raw = text.encode("utf-8", "surrogatepass")
    shape = raw.translate(_SHAPES)
    at = shape.find(_LONG_RUN)
    while at >= 0:
        run = _RUN.match(shape, at)
        end = run.end() if run is not None else len(shape)
        if _FAMILIAR.search(raw, max(0, at - _BEFORE), end):
            return found | RUN | CARD
        at = shape.find(_LONG_RUN, end)
    if _GROUPS[0] in shape or _GROUPS[1] in shape:
        found |= CARD
    return found
