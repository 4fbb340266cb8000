"""Regular expressions with RE2's syntax and in linear time, matched against whole strings as Prometheus does.

Python's `re` backtracks: a pattern such as `(a+)+b` from a query would hold the emulator for minutes. Here a pattern
becomes a small program for Thompson's machine: a lazily built deterministic automaton answers yes or no, and Pike's
machine finds groups.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from .regex_syntax import At, Chars, Choice, Group, Place, Reader, RegexError, Repeat, Sequence, Tree

__all__ = ["RegexError", "full_matcher", "groups_of"]

_MAX_PROGRAM: Final = 10_000
_MAX_CACHED: Final = 20_000
_SPECIAL: Final = frozenset("\\.+*?()[]{}^$")


class _Step(NamedTuple):
    op: Literal["char", "fork", "save", "assert", "done"]
    to: tuple[int, ...] = ()  # of a fork: where to go on, in order of preference
    chars: Chars | None = None
    place: Place | None = None
    slot: int = 0


class _Program:
    def __init__(self, pattern: str) -> None:
        reader = Reader(pattern)
        tree = reader.read()
        self.pattern = pattern
        self.groups = reader.groups
        self.names = reader.names
        self.steps: list[_Step] = []
        self._add(tree)
        self._emit(_Step("done"))
        self.plain = not any(step.op == "assert" for step in self.steps)

    def _emit(self, step: _Step) -> int:
        if len(self.steps) >= _MAX_PROGRAM:
            raise RegexError(f'the regular expression "{self.pattern[:80]}" is too large')
        self.steps.append(step)
        return len(self.steps) - 1

    def _add(self, tree: Tree) -> None:
        match tree:
            case Chars():
                self._emit(_Step("char", chars=tree))
            case At(place=place):
                self._emit(_Step("assert", place=place))
            case Sequence(parts=parts):
                for part in parts:
                    self._add(part)
            case Group(body=body, index=index):
                self._emit(_Step("save", slot=2 * index))
                self._add(body)
                self._emit(_Step("save", slot=2 * index + 1))
            case Choice(options=options):
                self._choose(options)
            case Repeat():
                self._repeat(tree)

    def _choose(self, options: tuple[Tree, ...]) -> None:
        fork = self._emit(_Step("fork"))
        starts, ends = [], []
        for option in options:
            starts.append(len(self.steps))
            self._add(option)
            ends.append(self._emit(_Step("fork")))
        self.steps[fork] = _Step("fork", to=tuple(starts))
        for end in ends:
            self.steps[end] = _Step("fork", to=(len(self.steps),))

    def _repeat(self, tree: Repeat) -> None:
        for _ in range(tree.least):
            self._add(tree.body)
        if tree.most is None:
            fork = self._emit(_Step("fork"))
            self._add(tree.body)
            self._emit(_Step("fork", to=(fork,)))
            self.steps[fork] = self._either(fork + 1, len(self.steps), greedy=tree.greedy)
            return
        forks = []
        for _ in range(tree.most - tree.least):
            forks.append(self._emit(_Step("fork")))
            self._add(tree.body)
        for fork in forks:
            self.steps[fork] = self._either(fork + 1, len(self.steps), greedy=tree.greedy)

    @staticmethod
    def _either(inside: int, outside: int, *, greedy: bool) -> _Step:
        return _Step("fork", to=(inside, outside) if greedy else (outside, inside))

    def reach(self, threads: "list[tuple[int, _Slots]]", text: str, at: int) -> "list[tuple[int, _Slots]]":
        """Follow all steps that consume nothing, in order of preference; what remains wants a character or is done."""
        seen: set[int] = set()
        found: list[tuple[int, _Slots]] = []
        stack = threads[::-1]
        while stack:
            pc, slots = stack.pop()
            if pc in seen:
                continue
            seen.add(pc)
            step = self.steps[pc]
            if step.op == "fork":
                stack.extend((to, slots) for to in reversed(step.to))
            elif step.op == "save":
                stack.append((pc + 1, ((step.slot, at), slots)))
            elif step.op == "assert":
                if _holds(step.place, text, at):
                    stack.append((pc + 1, slots))
            else:
                found.append((pc, slots))
        return found


# Captures as a linked list, newest first: a fork shares what it has so far.
_Slots = tuple[tuple[int, int], "_Slots | None"]
_NOTHING: Final[_Slots] = ((-1, -1), None)


def _word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and (text[at] == "_" or (text[at].isascii() and text[at].isalnum()))


def _holds(place: Place | None, text: str, at: int) -> bool:
    match place:
        case "text start":
            return at == 0
        case "text end":
            return at == len(text)
        case "line start":
            return at == 0 or text[at - 1] == "\n"
        case "line end":
            return at == len(text) or text[at] == "\n"
        case _:
            return (_word(text, at - 1) != _word(text, at)) == (place == "word edge")


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> _Program:
    return _Program(pattern)


def _run(program: _Program, text: str) -> "_Slots | None":
    threads = program.reach([(0, _NOTHING)], text, 0)
    for at, char in enumerate(text):
        onwards = [
            (pc + 1, slots) for pc, slots in threads if (chars := program.steps[pc].chars) is not None and char in chars
        ]
        threads = program.reach(onwards, text, at + 1)
        if not threads:
            return None
    return next((slots for pc, slots in threads if program.steps[pc].op == "done"), None)


class _Automaton:
    """Deterministic states, made when first needed; only for programs that never look around."""

    def __init__(self, program: _Program) -> None:
        self.program = program
        self._forget()

    def _forget(self) -> None:
        self.next: dict[tuple[int, str], int] = {}
        self.states: list[tuple[int, ...]] = []
        self.known: dict[tuple[int, ...], int] = {}
        self.start = self._state([0])

    def _state(self, pcs: list[int]) -> int:
        reached = self.program.reach([(pc, _NOTHING) for pc in pcs], "", 0)
        state = tuple(sorted(pc for pc, _ in reached))
        if state not in self.known:
            self.known[state] = len(self.states)
            self.states.append(state)
        return self.known[state]

    def accepts(self, text: str) -> bool:
        if len(self.next) > _MAX_CACHED:
            self._forget()
        steps = self.program.steps
        state = self.start
        for char in text:
            onwards = self.next.get((state, char))
            if onwards is None:
                pcs = [pc + 1 for pc in self.states[state] if (chars := steps[pc].chars) is not None and char in chars]
                onwards = self.next[state, char] = self._state(pcs)
            state = onwards
            if not self.states[state]:
                return False
        return any(steps[pc].op == "done" for pc in self.states[state])


@lru_cache(maxsize=512)
def full_matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a string as a whole matches.

    Raises:
        RegexError: The pattern is not RE2.
    """
    if not _SPECIAL.intersection(pattern):
        return frozenset(pattern.split("|")).__contains__
    program = _compiled(pattern)
    if program.plain:
        return _Automaton(program).accepts
    return lambda text: _run(program, text) is not None


def groups_of(pattern: str, text: str) -> dict[str, str] | None:
    """The groups of a match of the whole text by number and by name, or None; a group without part in it is empty."""
    program = _compiled(pattern)
    slots = _run(program, text)
    if slots is None:
        return None
    places: dict[int, int] = {}
    step: _Slots | None = slots
    while step is not None:
        places.setdefault(*step[0])
        step = step[1]
    found = {"0": text}
    for index in range(1, program.groups + 1):
        start, end = places.get(2 * index, -1), places.get(2 * index + 1, -1)
        found[str(index)] = text[start:end] if 0 <= start <= end else ""
    return found | {name: found[str(index)] for name, index in program.names.items()}
