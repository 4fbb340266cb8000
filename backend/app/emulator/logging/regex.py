r"""RE2 patterns, which Cloud Logging documents, translated for Python's `re`.

What RE2 lacks is refused (github.com/google/re2/wiki/Syntax): look-around, back references, atomic groups,
possessive repetition. What the two read differently is rewritten: `$`, `\z`, ASCII classes, POSIX classes, `\Q..\E`.
"""

import re

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_COMPLEMENTS = {
    "D": r"\x00-/:-\U0010ffff",
    "W": r"\x00-/:-@\[-\^`{-\U0010ffff",
    "S": r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff",
}
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_FLAGS = re.compile(r"\(\?([imsU]*)(-[imsU]+)?([:)])")
_QUANTIFIER = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")


def compile_re2(pattern: str) -> re.Pattern[str]:
    """A pattern with RE2's meaning.

    Raises:
        ValueError: It is not a pattern that RE2 takes; the message says why.
    """
    try:
        return re.compile(_translate(pattern))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _translate(pattern: str) -> str:
    out: list[str] = []
    at, multiline = 0, False
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            piece, at = _escape(pattern, at)
        elif character == "[":
            piece, at = _bracket(pattern, at)
        elif character == "(":
            piece, at, multiline = _group(pattern, at, multiline)
        elif character == "$":
            piece, at = ("$" if multiline else r"\Z"), at + 1
        elif quantifier := _QUANTIFIER.match(pattern, at):
            piece, at = quantifier.group(), quantifier.end()
            if pattern.startswith("+", at):
                raise ValueError(f"bad repetition operator: {piece}+")
        else:
            piece, at = character, at + 1
        out.append(piece)
    return "".join(out)


def _escape(pattern: str, at: int) -> tuple[str, int]:
    letter = pattern[at + 1 : at + 2]
    if letter == "Q":
        end = pattern.find(r"\E", at)
        stop = len(pattern) if end < 0 else end
        return re.escape(pattern[at + 2 : stop]), stop + (0 if end < 0 else 2)
    if letter == "z":
        return r"\Z", at + 2
    if letter in _CLASSES:
        return f"[{_CLASSES[letter]}]", at + 2
    if letter.lower() in _CLASSES and letter:
        return f"[^{_CLASSES[letter.lower()]}]", at + 2
    if letter in {"b", "B"}:
        return f"(?a:\\{letter})", at + 2
    if letter.isdigit() and letter != "0":
        raise ValueError(f"invalid escape sequence: \\{letter} (RE2 has no back references)")
    if letter in {"Z", "p", "P", "C", "k", "G"}:
        raise ValueError(f"invalid escape sequence: \\{letter}")
    if letter == "x" and pattern[at + 2 : at + 3] == "{":
        end = pattern.find("}", at)
        if end < 0:
            raise ValueError(r"invalid escape sequence: \x{")
        return re.escape(chr(int(pattern[at + 3 : end], 16))), end + 1
    return pattern[at : at + 2], at + 2


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    out = ["["]
    at += 1
    if pattern[at : at + 1] == "^":
        out.append("^")
        at += 1
    first = True
    while at < len(pattern) and (first or pattern[at] != "]"):
        first = False
        posix = re.compile(r"\[:(\^?)(\w+):\]").match(pattern, at)
        if posix is not None:
            if posix[2] not in _POSIX or posix[1]:
                raise ValueError(f"invalid character class range: {posix.group()}")
            out.append(_POSIX[posix[2]])
            at = posix.end()
        elif pattern[at] == "\\":
            letter = pattern[at + 1 : at + 2]
            out.append(_CLASSES.get(letter) or _COMPLEMENTS.get(letter) or pattern[at : at + 2])
            at += 2
        else:
            # Python warns of `[[` and `--`, `&&`, `||`, `~~` inside a class, where RE2 means the characters.
            out.append(f"\\{pattern[at]}" if pattern[at] in "[&|~]" else pattern[at])
            at += 1
    if at >= len(pattern):
        raise ValueError("missing closing ]")
    return "".join(out) + "]", at + 1


def _group(pattern: str, at: int, multiline: bool) -> tuple[str, int, bool]:
    if pattern[at + 1 : at + 2] != "?":
        return "(", at + 1, multiline
    flags = _FLAGS.match(pattern, at)
    if flags is not None:
        on, off, end = flags.groups()
        if "U" in on or "U" in (off or ""):
            raise ValueError("the flag U (swap greediness) is not supported by the emulator")
        multiline = multiline or "m" in on
        if end == ":":
            return flags.group(), flags.end(), multiline
        # `(?i)` in the middle holds for the rest of the group in RE2; Python takes it only at the very start.
        if at != 0 or off:
            raise ValueError("flags that begin in the middle of a pattern: write (?i:...) around the part")
        return flags.group(), flags.end(), multiline
    if pattern.startswith("(?P<", at):
        return "(?P<", at + 4, multiline
    if re.compile(r"\(\?<[A-Za-z_]").match(pattern, at):
        return "(?P<", at + 3, multiline
    raise ValueError(f"invalid perl operator: {pattern[at : at + 3]}")
