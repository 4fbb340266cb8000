"""RE2's syntax (github.com/google/re2/wiki/Syntax) read into a small tree; what RE2 lacks is refused by name."""

import unicodedata
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias

MAX_REPEAT: Final = 1000  # RE2 refuses more
_MAX_DEPTH: Final = 200
_LAST: Final = 0x10FFFF

_DIGIT: Final = ((0x30, 0x39),)
_SPACE: Final = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
_WORD: Final = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_PERL: Final = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_POSIX: Final = {
    "alnum": ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)),
    "alpha": ((0x41, 0x5A), (0x61, 0x7A)),
    "ascii": ((0x00, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "digit": _DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": ((0x61, 0x7A),),
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": ((0x09, 0x0D), (0x20, 0x20)),
    "upper": ((0x41, 0x5A),),
    "word": _WORD,
    "xdigit": ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)),
}
_CONTROL: Final = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_MAJOR: Final = "LMNPSZC"

Ranges: TypeAlias = tuple[tuple[int, int], ...]
Place = Literal["line start", "line end", "text start", "text end", "word edge", "no word edge"]


class RegexError(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Chars:
    """A set of characters: ranges, Unicode categories (prefix, wanted), possibly turned around or case-blind."""

    ranges: Ranges = ()
    categories: tuple[tuple[str, bool], ...] = ()
    negated: bool = False
    fold: bool = False

    def __contains__(self, char: object) -> bool:
        text = str(char)
        candidates = {text, text.lower(), text.upper()} if self.fold else {text}
        return any(self._holds(each) for each in candidates if len(each) == 1) != self.negated

    def _holds(self, char: str) -> bool:
        code = ord(char)
        if any(first <= code <= last for first, last in self.ranges):
            return True
        if not self.categories:
            return False
        category = unicodedata.category(char)
        return any(category.startswith(prefix) == wanted for prefix, wanted in self.categories)


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: "tuple[Tree, ...]"


@dataclass(frozen=True, slots=True)
class Choice:
    options: "tuple[Tree, ...]"


@dataclass(frozen=True, slots=True)
class Repeat:
    body: "Tree"
    least: int
    most: int | None
    greedy: bool


@dataclass(frozen=True, slots=True)
class Group:
    body: "Tree"
    index: int


@dataclass(frozen=True, slots=True)
class At:
    place: Place


Tree: TypeAlias = Chars | Sequence | Choice | Repeat | Group | At


@dataclass(slots=True)
class _Flags:
    i: bool = False
    m: bool = False
    s: bool = False
    U: bool = False


class Reader:
    """One pattern being read; `names` and `groups` are filled on the way."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.flags = _Flags()
        self.groups = 0
        self.names: dict[str, int] = {}
        self.depth = 0

    def read(self) -> Tree:
        tree = self._choice()
        if self.at < len(self.pattern):
            self._fail("unexpected )")
        return tree

    def _fail(self, why: str) -> NoReturn:
        raise RegexError(f'{why} in the regular expression "{self.pattern}" at character {self.at + 1}')

    def _peek(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self.at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self.at >= len(self.pattern):
            self._fail("unexpected end")
        self.at += 1
        return self.pattern[self.at - 1]

    def _until(self, end: str) -> str:
        stop = self.pattern.find(end, self.at)
        if stop < 0:
            self._fail(f"missing {end}")
        text = self.pattern[self.at : stop]
        self.at = stop + len(end)
        return text

    def _choice(self) -> Tree:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self._fail("too many nested groups")
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        self.depth -= 1
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            if self._take("\\Q"):
                stop = self.pattern.find("\\E", self.at)
                stop = len(self.pattern) if stop < 0 else stop
                quoted = self.pattern[self.at : stop]
                self.at = min(stop + 2, len(self.pattern))
                parts += [self._literal(ord(char)) for char in quoted]
                if quoted:
                    parts[-1] = self._repeated(parts[-1])
                continue
            part = self._atom()
            if part is not None:
                parts.append(self._repeated(part))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Tree) -> Tree:
        bounds = self._bounds()
        if bounds is None:
            return part
        greedy = not self._take("?")
        if self._peek("*") or self._peek("+") or self._peek("?") or self._bounds_ahead():
            self._fail("a repetition of a repetition")
        return Repeat(part, *bounds, greedy=greedy != self.flags.U)

    def _bounds_ahead(self) -> bool:
        before = self.at
        ahead = self._bounds() is not None
        self.at = before
        return ahead

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        if not self._peek("{"):
            return None
        stop = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at + 1 : max(stop, self.at)].partition(",")
        if not low.isdecimal() or (high and not high.isdecimal()):
            return None  # RE2: a brace that is no repetition stands for itself
        least = int(low)
        most = (int(high) if high else None) if comma else least
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            self._fail(f"a repetition outside 0..{MAX_REPEAT}")
        self.at = stop + 1
        return least, most

    def _atom(self) -> Tree | None:
        char = self._next()
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == ".":
            return Chars(((0, _LAST),)) if self.flags.s else Chars(((10, 10),), negated=True)
        if char == "^":
            return At("line start" if self.flags.m else "text start")
        if char == "$":
            return At("line end" if self.flags.m else "text end")
        if char == "\\":
            return self._escape()
        if char in "*+?":
            self.at -= 1
            self._fail("nothing to repeat")
        return self._literal(ord(char))

    def _literal(self, code: int) -> Chars:
        return Chars(((code, code),), fold=self.flags.i)

    def _group(self) -> Tree | None:
        if not self._peek("?"):
            return self._captured(None)
        for sign, what in (("?=", "lookahead"), ("?!", "lookahead"), ("?<=", "lookbehind"), ("?<!", "lookbehind")):
            if self._peek(sign):
                self._fail(f"{what} (which RE2 does not have)")
        if self._take("?P<") or self._take("?<"):
            return self._captured(self._until(">"))
        self.at += 1
        before = self.flags
        self.flags = _Flags(before.i, before.m, before.s, before.U)
        wanted = True
        while (char := self._next()) not in ":)":
            if char == "-" and wanted:
                wanted = False
            elif char in "imsU":
                setattr(self.flags, char, wanted)
            else:
                self._fail(f"an unknown group (?{char}")
        if char == ")":
            return None  # the flags hold to the end of the enclosing group
        return self._closed(before)

    def _captured(self, name: str | None) -> Tree:
        self.groups += 1
        index = self.groups
        if name is not None:
            if not name.isidentifier() or name in self.names:
                self._fail(f'a group name "{name}" that is wrong or used twice')
            self.names[name] = index
        flags = self.flags
        self.flags = _Flags(flags.i, flags.m, flags.s, flags.U)
        return Group(self._closed(flags), index)

    def _closed(self, flags: _Flags) -> Tree:
        tree = self._choice()
        if not self._take(")"):
            self._fail("missing )")
        self.flags = flags
        return tree

    def _escape(self) -> Tree | None:
        char = self._next()
        places: dict[str, Place] = {"A": "text start", "z": "text end", "b": "word edge", "B": "no word edge"}
        if char in places:
            return At(places[char])
        if char == "E":
            return None
        if char in "123456789" and not self._octal_follows(char):
            self._fail("a backreference (which RE2 does not have)")
        self.at -= 1
        return self._class_escape() or self._literal(self._code())

    def _octal_follows(self, char: str) -> bool:
        return char in "1234567" and self.pattern[self.at : self.at + 1] in tuple("01234567")

    def _class_escape(self) -> Chars | None:
        """Perl's classes and Unicode categories, and their opposites; takes nothing when the escape is another."""
        char = self.pattern[self.at]
        if char.lower() in _PERL:
            self.at += 1
            return Chars(_PERL[char.lower()], negated=char.isupper())
        if char.lower() != "p":
            return None
        self.at += 1
        name = self._until("}") if self._take("{") else self._next()
        negated = char.isupper() != name.startswith("^")
        name = name.removeprefix("^")
        if name == "Any":
            return Chars(((0, _LAST),), negated=negated)
        if not name or name[0] not in _MAJOR or len(name) > 2:  # noqa: PLR2004  # general categories: "L", "Lu"
            self._fail(f'the Unicode class "{name}" (only general categories such as L or Lu are known here)')
        return Chars(categories=((name, True),), negated=negated)

    def _code(self) -> int:
        char = self._next()
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "x":
            return self._hexadecimal()
        if char in "01234567":
            digits = char
            while len(digits) < 3 and self.pattern[self.at : self.at + 1] in tuple("01234567"):  # noqa: PLR2004  # \123
                digits += self._next()
            return int(digits, 8)
        if not char.isascii() or char.isalnum():
            self.at -= 1
            self._fail(f"an unknown escape \\{char}")
        return ord(char)

    def _hexadecimal(self) -> int:
        digits = self._until("}") if self._take("{") else self._next() + self._next()
        if not set(digits) <= set("0123456789abcdefABCDEF") or not digits or int(digits, 16) > _LAST:
            self._fail("a wrong \\x escape")
        return int(digits, 16)

    def _class(self) -> Chars:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        categories: list[tuple[str, bool]] = []
        first = True
        while first or not self._take("]"):
            first = False
            piece = self._piece()
            if isinstance(piece, Chars):
                ranges += _turned(piece.ranges) if piece.negated and piece.ranges else piece.ranges
                categories += [(name, wanted != piece.negated) for name, wanted in piece.categories]
                continue
            last = piece
            if self._peek("-") and not self._peek("-]"):
                self.at += 1
                end = self._piece()
                if isinstance(end, Chars) or end < piece:
                    self._fail("a wrong range of characters")
                last = end
            ranges.append((piece, last))
        return Chars(tuple(ranges), tuple(categories), negated, self.flags.i)

    def _piece(self) -> "Chars | int":
        if self._take("[:"):
            name = self._until(":]")
            turned, name = name.startswith("^"), name.removeprefix("^")
            if name not in _POSIX:
                self._fail(f"an unknown class [:{name}:]")
            return Chars(_POSIX[name], negated=turned)
        if not self._take("\\"):
            return ord(self._next())
        if self.at >= len(self.pattern):
            self._fail("unexpected end")
        return self._class_escape() or self._code()


def _turned(ranges: Ranges) -> list[tuple[int, int]]:
    """Everything outside sorted ranges."""
    outside, at = [], 0
    for first, last in ranges:
        if at < first:
            outside.append((at, first - 1))
        at = last + 1
    return [*outside, (at, _LAST)] if at <= _LAST else outside
