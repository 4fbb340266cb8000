"""The Logging query language, from text to a tree.

Precedence is NOT, then OR, then AND, and two expressions side by side are joined by AND
(docs.cloud.google.com/logging/docs/view/logging-query-language).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

# Deeper trees are written by programs, and would end in a RecursionError of ours.
MAXIMUM_DEPTH = 64

_GRAMMAR = r"""
start: [conjunction]
conjunction: disjunction (_AND? disjunction)*
disjunction: negation (_OR negation)*
?negation: (_NOT | _MINUS) negation -> negated
         | primary
?primary: "(" conjunction ")"
        | comparison
        | call
        | path -> bare
comparison: (path | call) OPERATOR value
call: CALL [argument ("," argument)*] ")"
?argument: path | NEGATIVE -> negative | call
value: path
     | NEGATIVE -> negative
     | "*" -> star
     | "(" value_conjunction ")"
value_conjunction: value_disjunction (_AND? value_disjunction)*
value_disjunction: value_negation (_OR value_negation)*
?value_negation: (_NOT | _MINUS) value_negation -> value_negated
               | value
path: segment ("." segment)*
segment: WORD -> word
       | STRING -> string

_AND.3: /AND(?=[\s()"]|--|$)/
_OR.3: /OR(?=[\s()"]|--|$)/
_NOT.3: /NOT(?=[\s()"]|--|$)/
_MINUS.2: "-"
NEGATIVE.3: /-[0-9]+(\.[0-9]+)?[A-Za-z0-9]*/
OPERATOR: /=~|!~|!=|>=|<=|=|>|<|:/
CALL.4: /(?!(AND|OR|NOT)\()[A-Za-z_][A-Za-z0-9_]*\(|(log_id|source|sample|ip_in_net|cast|regexp_extract|SEARCH)\s+\(/
STRING: /"(\\.|[^"\\])*"/s
WORD: /(?!(AND|OR|NOT)([\s()"]|--|$))([^\s~=():><,.*"!+-]|!(?![=~]))([^\s~=():><,.*"!]|!(?![=~]))*/
COMMENT.5: /--[^\n]*/
WHITESPACE: /\s+/
%ignore COMMENT
%ignore WHITESPACE
"""


class FilterError(ValueError):
    """What is wrong with a filter, and where; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Text:
    """One segment of a path, or a value: as written, without its quotes."""

    raw: str
    quoted: bool = False

    @property
    def text(self) -> str:
        return _unescape(self.raw) if self.quoted else self.raw

    @property
    def pattern(self) -> str:
        r"""The text for a regular expression: `\b` stays a word boundary, `\\b` is one too."""
        return re.sub(r'\\([\\"])', r"\1", self.raw)


@dataclass(frozen=True, slots=True)
class Path:
    segments: tuple[Text, ...]

    @property
    def text(self) -> str:
        return ".".join(segment.text for segment in self.segments)

    @property
    def quoted(self) -> bool:
        return len(self.segments) == 1 and self.segments[0].quoted


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: "tuple[Path | Call, ...]"
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Present:
    """The `*` of `field:*`."""


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Any


@dataclass(frozen=True, slots=True)
class Compare:
    left: Path | Call
    operator: str
    value: "Value"
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Bare:
    """A value without a field: searched for in every field."""

    text: str


# In a Value the leaves are Path (a text) and Present.
Value = Path | Present | All | AnyOf | Not
Expression = All | AnyOf | Not | Compare | Bare | Call

_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)


def _unescape(raw: str) -> str:
    def replace(match: re.Match[str]) -> str:
        two, four, eight, octal, other = match.groups()
        if other is None:
            number = int(octal, 8) if octal else int(two or four or eight, 16)
            return chr(number) if number <= 0x10FFFF else match.group()  # noqa: PLR2004  # the last code point
        if other in "\\\"'?":
            return cast("str", other)
        return _SIMPLE.get(other, match.group())

    return _ESCAPE.sub(replace, raw) if "\\" in raw else raw


def _joined(kind: type[All] | type[AnyOf], parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _negation(part: Any) -> Any:
    return part.part if isinstance(part, Not) else Not(part)


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    def start(self, expression: Any) -> Any:
        return expression

    def conjunction(self, *parts: Any) -> Any:
        return _joined(All, parts)

    def disjunction(self, *parts: Any) -> Any:
        return _joined(AnyOf, parts)

    value_conjunction = conjunction
    value_disjunction = disjunction

    def negated(self, part: Any) -> Any:
        return _negation(part)

    value_negated = negated

    def comparison(self, left: Path | Call, operator: Token, value: Value) -> Compare:
        return Compare(left, str(operator), value, operator.line or 1, operator.column or 1)

    def bare(self, path: Path) -> Bare:
        return Bare(path.text)

    def call(self, name: Token, *arguments: Any) -> Call:
        given = tuple(argument for argument in arguments if argument is not None)
        return Call(name.rstrip("(").rstrip(), given, name.line or 1, name.column or 1)

    def value(self, part: Any) -> Any:
        return part

    def negative(self, token: Token) -> Path:
        return Path((Text(str(token)),))

    def star(self) -> Present:
        return Present()

    def path(self, *segments: Text) -> Path:
        return Path(segments)

    def word(self, token: Token) -> Text:
        return Text(str(token))

    def string(self, token: Token) -> Text:
        return Text(token[1:-1], quoted=True)


@lru_cache(maxsize=1)
def _parser() -> Callable[[str], Any]:
    # The tree is built while parsing, without recursion, so that depth can be checked before it hurts.
    lark = Lark(_GRAMMAR, parser="lalr", transformer=_Builder(), propagate_positions=False)
    return cast("Callable[[str], Any]", lark.parse)


def parse(text: str) -> Expression | None:
    """The tree of a filter; None when it has nothing but spaces and comments.

    Raises:
        FilterError: With line, column and the token that cannot stand there.
    """
    try:
        tree = _parser()(text)
    except UnexpectedToken as error:
        if error.token.type == "$END":
            line, column = _end_of(text)
            raise FilterError(f"syntax error at line {line}, column {column}: unexpected end of the filter") from None
        raise _syntax_error(error, str(error.token)) from None
    except UnexpectedCharacters as error:
        rest = text[error.pos_in_stream :]
        if rest.startswith('"'):
            raise FilterError(
                f"syntax error at line {error.line}, column {error.column}: the quotation mark is never closed"
            ) from None
        raise _syntax_error(error, rest[:1]) from None
    if _deeper_than(tree, MAXIMUM_DEPTH):
        raise FilterError(f"the filter is nested more than {MAXIMUM_DEPTH} levels deep")
    return cast("Expression | None", tree)


def _syntax_error(error: UnexpectedInput, token: str) -> FilterError:
    return FilterError(f"syntax error at line {error.line}, column {error.column}, token '{token}'")


def _end_of(text: str) -> tuple[int, int]:
    lines = text.split("\n")
    return len(lines), len(lines[-1]) + 1


def _deeper_than(tree: Any, limit: int) -> bool:
    level = [tree]
    for _ in range(limit):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: Any) -> Sequence[Any]:
    match node:
        case All(parts) | AnyOf(parts):
            return parts
        case Not(part):
            return (part,)
        case Compare(left=left, value=value):
            return (left, value)
        case Call(arguments=arguments):
            return arguments
        case _:
            return ()
