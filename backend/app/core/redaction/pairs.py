"""Secrets that show by the name before them: `password=...`, `"token": "..."`, `?key=...`, `scheme://user:pass@host`."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from .detectors import Replace
from .keys import Verdict
from .opaque import SHORTEST, looks_random

Judge = Callable[[str], Verdict]

# A name and its separator; quoted (by JSON inside of JSON: with backslashes), a comma will do: `(b"cookie", b"a=1")`.
# Starts once a run of letters.
_NAME: Final = re.compile(
    r"(?<![\w.-])([A-Za-z_][\w.-]*+)(?:\\{0,3}+[\"'][ \t]{0,2}+(=>|[:=,])|[ \t]{0,2}+(=>|[:=])|\]=)[ \t\n]{0,4}+",
    re.ASCII,
)
# `api key: ...`, in prose: names of two words whose last one says little alone.
_SECOND_WORDS: Final = frozenset({"code", "id", "key", "number", "phrase"})
_FIRST_WORD: Final = re.compile(r"([A-Za-z]{1,16}+)[ \t]\Z")
_FIRST_WORD_REACH: Final = 18
_QUOTED: Final = re.compile(
    r"[bru]?+(?:\"((?:[^\"\\]++|\\.)*+)|'((?:[^'\\]++|\\.)*+)|\\{1,3}+[\"']([^\"'\\]*+))", re.DOTALL
)
# Up to white space, or to what ends a value before another name or at the end of a bracket.
_BARE: Final = re.compile(
    r"(?:(?i:bearer|basic|digest|negotiate|token|apikey|aws4-hmac-sha256)[ \t]++)?+"
    r"(?:[^\s,;&)\]}\"']++|[,;&](?![ \t]{0,2}+[\w.-]{1,64}+[=:])(?!\s)|[)\]}](?=[^\s,;&)\]}\"'.]))++"
)
_OPENING: Final = re.compile(r"(?:[A-Za-z_][\w.]*+)?+[\[({]", re.ASCII)
_BRACKET: Final = re.compile(r"[\[({]|[\])}]|\"(?:[^\"\\]++|\\.)*+\"?+|'(?:[^'\\]++|\\.)*+'?+", re.DOTALL)
_TELLING_NOTHING: Final = frozenset({"None", "null", "true", "false", "True", "False"})
_NUMBER: Final = re.compile(r"[0-9]{1,12}+(?:\.[0-9]{1,12}+)?+")
_COOKIES: Final = re.compile(r"[^\r\n\"']++")

# What SQLAlchemy's errors tell behind the statement: `[parameters: ('ada', 'secret')]`.
_STATEMENT_VALUES: Final = "parameters"
# `--password secret`, `<password>secret</password>`
_OPTION: Final = re.compile(r"(?<![\w-])--([A-Za-z][\w-]{1,64}+)[ \t]{1,4}+(?!-)([^\s\"']++|\"[^\"]*+\"?+|'[^']*+'?+)")
_ELEMENT: Final = re.compile(r"<([A-Za-z_][\w:.-]{0,64}+)>([^<>]++)</", re.ASCII)
# The same as in an address, in an address that is a part of another one.
_ENCODED: Final = re.compile(
    r"(?:%[0-9A-Fa-f]{2}|(?<![\w.%-]))([A-Za-z_][\w.-]*+)%3[Dd]((?:[^\s&\"'<>%]++|%(?!26|23|3[Bb])[0-9A-Fa-f]{2})++)"
)
_ENCODED_USER: Final = re.compile(r"%3[Aa]%2[Ff]%2[Ff]((?:[^\s\"'%]++|%(?!2[Ff]|40)[0-9A-Fa-f]{2})++)%40")

_QUERY: Final = re.compile(r"[?&#]([^\s=&?#\"'<>]{1,128}+)=([^\s&\"'<>#]*+)")
# What a name alone says only inside of a query.
_QUERY_SECRETS: Final = frozenset(
    ["code", "key", "sig", "signature", "x-amz-credential", "x-amz-signature", "x-goog-credential", "x-goog-signature"]
)
_URL: Final = re.compile(r"://([^\s\"']++)")
_RUN: Final = re.compile(r"(?<![\w-])([\w-]{16,}+)", re.ASCII)
_ENDS: Final = re.compile(r"[/?#]")


def redact_pairs(text: str, judge: Judge, replace: Replace) -> str:
    """Values behind secret names, whether quoted, bracketed or bare."""
    pieces = []
    done = at = 0
    while (match := _NAME.search(text, at)) is not None:
        at = match.end()
        verdict = judge(_name(text, match))
        if match[1] == _STATEMENT_VALUES and text[: match.start()].endswith("["):
            verdict = Verdict.SECRET
        if not verdict or (match[2] == "," and _QUOTED.match(text, at) is None):
            continue
        start, end = _value(text, at, match[1])
        value = text[start:end]
        if value and value not in _TELLING_NOTHING and not (verdict == Verdict.COUNTED and _NUMBER.fullmatch(value)):
            pieces += [text[done:start], replace(value)]
            done = end
        at = max(at, end)
    return "".join([*pieces, text[done:]]) if pieces else text


def _name(text: str, match: re.Match[str]) -> str:
    name = match[1]
    if name.lower() in _SECOND_WORDS:
        start = match.start()
        before = _FIRST_WORD.search(text, max(0, start - _FIRST_WORD_REACH), start)
        if before is not None:
            return f"{before[1]} {name}"
    return name


def _value(text: str, at: int, name: str) -> tuple[int, int]:
    """Where the value that begins at `at` starts and ends, without its quotes."""
    if (match := _QUOTED.match(text, at)) is not None:
        group = match.lastindex or 0
        return match.span(group)
    if "cookie" in name.lower() and (match := _COOKIES.match(text, at)) is not None:
        return match.span()
    if (match := _OPENING.match(text, at)) is not None:
        return at, _closing(text, match.end())
    match = _BARE.match(text, at)
    return match.span() if match is not None else (at, at)


def _closing(text: str, at: int) -> int:
    """The end of what a bracket before `at` opened; the end of the text when nothing closes it."""
    depth = 1
    while (match := _BRACKET.search(text, at)) is not None:
        at = match.end()
        letter = match[0][0]
        depth += letter in "[({"
        depth -= letter in "])}"
        if not depth:
            return at
    return len(text)


def redact_marked(text: str, judge: Judge, replace: Replace) -> str:
    """Values of options and elements, and of addresses within addresses."""

    def put(match: re.Match[str]) -> str:
        name = match[1].rpartition(":")[2]
        if not judge(name) and not (match.re is _ENCODED and name.lower() in _QUERY_SECRETS):
            return match[0]
        start, end = (at - match.start() for at in match.span(2))
        return match[0][:start] + replace(match[2]) + match[0][end:]

    if "--" in text:
        text = _OPTION.sub(put, text)
    if "</" in text:
        text = _ELEMENT.sub(put, text)
    if "%3" in text:
        text = _ENCODED.sub(put, text)
        text = _ENCODED_USER.sub(lambda match: match[0].replace(match[1], replace(match[1])), text)
    return text


def redact_query(text: str, judge: Judge, replace: Replace, replace_opaque: Replace) -> str:
    """Secret parameters behind `?` and `&`; and values of any name that look random."""

    def put(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if not value:
            return match[0]
        plain = unquote(name) if "%" in name else name
        if plain.lower() in _QUERY_SECRETS or judge(plain):
            value = replace(value)
        elif len(value) >= SHORTEST:
            value = redact_opaque(value, replace_opaque)
        return f"{match[0][0]}{name}={value}"

    return _QUERY.sub(put, text)


def redact_urls(text: str, replace: Replace, replace_opaque: Replace) -> str:
    """User and password before a host, and parts of the path that look random."""

    def put(match: re.Match[str]) -> str:
        rest = match[1]
        end = _userinfo(rest)
        shown = ""
        if end:
            shown, rest = replace(rest[:end]) + "@", rest[end + 1 :]
        slash = rest.find("/")
        if slash < 0:
            return f"://{shown}{rest}"
        query = _ENDS.search(rest, slash + 1)
        while query is not None and query[0] == "/":
            query = _ENDS.search(rest, query.end())
        stop = query.start() if query is not None else len(rest)
        return f"://{shown}{rest[:slash]}{redact_opaque(rest[slash:stop], replace_opaque)}{rest[stop:]}"

    return _URL.sub(put, text)


def _userinfo(rest: str) -> int:
    """The length of `user:password` before the `@` of an address; 0 when there is none."""
    first = _ENDS.search(rest)
    authority = rest[: first.start()] if first is not None else rest
    at = authority.rfind("@")
    if at > 0:
        return at
    host, colon, port = authority.partition(":")
    if colon and port and not port.isdigit() and not host.startswith("["):
        # A password with a bare `/`, `?` or `#`, as people write them into database addresses.
        return max(rest.rfind("@"), 0)
    return 0


def redact_opaque(text: str, replace: Replace) -> str:
    """Runs that look random; only for texts in which a name is unlikely to."""

    def put(match: re.Match[str]) -> str:
        return replace(match[1]) if looks_random(match[1]) else match[0]

    return _RUN.sub(put, text)
