"""A first look at a query's text, before promql-parser sees it.

The package has four habits that a server cannot live with: it overflows the stack on deeply nested text (the process
dies), it panics on `@ -1`, it refuses back-quoted strings that hold a backslash, and its errors have no position. So
strings and `@` times are taken out here and stand in the text as numbers, and what is too deep never reaches it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .model import QueryError

MAX_DEPTH: Final = 100
MAX_OPERATORS: Final = 200
MAX_LENGTH: Final = 100_000

_TOKEN: Final = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<open>["'`])
    |(?P<comment>\#[^\n]*)
    |(?P<at>@\s*[+-]?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:inf|nan)\b))
    |(?P<word>[A-Za-z_:][\w:]*)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\w*)
    |(?P<operator>==|!=|>=|<=|=~|!~|[-+*/%^<>=])
    |(?P<bracket>[(\[{}\])])
    |(?P<other>\S)
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPE: Final = re.compile(
    rb"\\(?:(?P<simple>[abfnrtv\\'\"])|(?P<octal>[0-7]{3})|x(?P<hex>[0-9a-fA-F]{2})"
    rb"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<wrong>.?))",
    re.DOTALL,
)
_SIMPLE: Final = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b"\\": 92, b"'": 39, b'"': 34}
_WORDS: Final = {"and", "or", "unless", "atan2"}
_CLOSING: Final = {")": "(", "]": "[", "}": "{"}


class Token(NamedTuple):
    start: int  # in the query
    end: int
    masked_end: int  # in the text for the parser


@dataclass(slots=True)
class Masked:
    """The text for the parser, what was taken out of it, and the original with its strings blanked (same positions)."""

    query: str
    text: str = ""
    blanked: str = ""
    strings: list[str] = field(default_factory=list)
    instants: list[int] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    weight: int = 0  # brackets and operators: how deep the tree may become

    def restore(self, text: str) -> str:
        """The string behind a placeholder; anything else, such as a plain label name, is itself."""
        return self.strings[int(text)] if text.isdecimal() else text


def place(position: int) -> str:
    return f"at character {position + 1}"


def mask(query: str) -> Masked:
    if len(query) > MAX_LENGTH:
        raise QueryError(f"the query has {len(query)} characters; the limit is {MAX_LENGTH}")
    masked = Masked(query)
    pieces: list[str] = []
    blanks: list[str] = []
    at = length = 0
    for match in _scan(query):
        masked.weight += match.lastgroup in {"bracket", "operator", "word"}
        kind, token = str(match.lastgroup), match.group()
        between = query[at : match.start()]
        at = match.end()
        blank = token
        if kind == "string":
            masked.strings.append(_unquoted(token, match.start()))
            token, blank = f'"{len(masked.strings) - 1}"', " " * len(token)
        elif kind == "at":
            masked.instants.append(_instant(token, match.start()))
            token = f"@ {len(masked.instants) - 1}"
        elif kind == "comment":
            token = blank = " " * len(token)
        pieces += (between, token)
        length += len(between) + len(token)
        if kind != "comment":
            masked.tokens.append(Token(match.start(), at, length))
        blanks += (between, blank)
    masked.text = "".join((*pieces, query[at:]))
    masked.blanked = "".join((*blanks, query[at:]))
    return masked


def _scan(query: str) -> Iterator[re.Match[str]]:
    """All tokens, with the checks that need no grammar: brackets, depth, operators, a lonely `=`."""
    brackets: list[tuple[str, int]] = []
    operators = 0
    for match in _TOKEN.finditer(query):
        kind, token, start = match.lastgroup, match.group(), match.start()
        inside_braces = bool(brackets) and brackets[-1][0] == "{"
        if kind == "open":
            raise QueryError(f"the string that begins {place(start)} has no closing {token}")
        if kind == "bracket":
            _balance(brackets, token, start)
        elif not inside_braces and (kind == "operator" or (kind == "word" and token.lower() in _WORDS)):
            operators += 1
            if kind == "operator" and token == "=":  # noqa: S105  # a token of the query
                raise QueryError(f'"=" {place(start)} is only for label matchers; to compare values, write "=="')
        if len(brackets) > MAX_DEPTH or operators > MAX_OPERATORS:
            raise QueryError(
                f"the query is nested too deeply {place(start)}: at most {MAX_DEPTH} brackets in each other "
                f"and {MAX_OPERATORS} operators"
            )
        yield match
    if brackets:
        raise QueryError(f'the "{brackets[-1][0]}" {place(brackets[-1][1])} is never closed')


def _balance(brackets: list[tuple[str, int]], token: str, start: int) -> None:
    if token not in _CLOSING:
        brackets.append((token, start))
    elif not brackets or brackets.pop()[0] != _CLOSING[token]:
        raise QueryError(f'the "{token}" {place(start)} closes nothing that is open')


def _instant(token: str, position: int) -> int:
    """The `@` time in milliseconds."""
    text = "".join(token[1:].split()).lower()
    seconds = float(int(text, 16)) if "0x" in text else float(text)
    if not abs(seconds) < 2**53:  # milliseconds must fit int64, as in Prometheus
        raise QueryError(f"the @ time {place(position)} is out of bounds: {text}")
    return round(seconds * 1000)


def _unquoted(token: str, position: int) -> str:
    """A string literal's value by Go's rules (prometheus.io/docs/prometheus/latest/querying/basics)."""
    body = token[1:-1]
    if token[0] == "`" or "\\" not in body:
        return body

    def unescape(match: re.Match[bytes]) -> bytes:
        kind, text = str(match.lastgroup), match.group(match.lastgroup or 0)
        if kind == "simple":
            return bytes((_SIMPLE[text],))
        if kind == "wrong":
            shown = text.decode("utf-8", "replace")
            raise QueryError(f"unknown escape \\{shown} in the string {place(position)}; a backslash is written \\\\")
        code = int(text, 8 if kind == "octal" else 16)
        if kind in {"octal", "hex"}:
            return bytes((code & 0xFF,))
        try:
            return chr(code).encode()
        except ValueError:
            raise QueryError(f"the string {place(position)} names a character that does not exist") from None

    return _ESCAPE.sub(unescape, body.encode("utf-8", "replace")).decode("utf-8", "replace")
