"""Stack traces in texts: the exception's type and frames, as far as grouping needs them.

The formats are those of ReportedErrorEvent.message (google/devtools/clouderrorreporting/v1beta1,
report_errors_service.proto). Frames stand innermost first.
"""

import re
from typing import NamedTuple

_HEADER = "Traceback (most recent call last):"
_PYTHON_FRAME = re.compile(r'File "([^"\n]{1,1000})", line \d+(?:, in (.{1,500}))?')
_PYTHON_ERROR = re.compile(r"([A-Za-z_][\w.]{0,300}?)(?::(?:\s.*)?)?")
# What Python draws before the lines of an exception group.
_GROUP_MARGIN = re.compile(r"^[ +|]*[+|] ?")
_CAUSES = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)

# The three languages whose frames begin with `at`: Java, C# and JavaScript.
_AT_HEADER = re.compile(
    r'(?:Exception in thread "[^"]{0,200}" |Caused by: |Uncaught )?([A-Za-z_$][\w.$]{0,300})(?:: ?(.*))?'
)
_AT_FRAME = re.compile(r"\s+at (?:(.{1,500}?) ?\((.{0,500})\)|(.{1,500}))\s*")
_GO_HEADER = re.compile(r"(?:panic: |http: panic serving [^:]{1,100}:\d{1,5}: |fatal error: )(.*)")
_GO_FRAME = re.compile(r"([\w./*()\-]{1,500})\(.{0,2000}\)")
_RUBY_HEADER = re.compile(r"([^:\s][^:]{0,500}):\d+:in [`']([^']{1,300})': .{0,2000}\(([A-Z][\w:]{0,200})\)")
_RUBY_FRAME = re.compile(r"\s+from ([^:]{1,500}):\d+:in [`']([^']{1,300})'")
_PHP_HEADER = re.compile(
    r"PHP (?:Notice|Parse error|Fatal error|Warning):\s+(?:Uncaught )?(?:exception ')?([\w\\]{1,200})"
)
_PHP_FRAME = re.compile(r"#\d+ ([^(]{1,500})\(\d+\): (.{1,500}?)\(")

# Python's own files and installed packages are not the user's.
_FOREIGN = re.compile(r"[/\\](?:site-packages|dist-packages|python3\.\d+|node_modules)[/\\]|^<frozen |^node:internal")
_MAXIMUM_LINES = 5000


class Frame(NamedTuple):
    file: str
    function: str


class Stack(NamedTuple):
    """The innermost exception of a text."""

    kind: str
    frames: tuple[Frame, ...]


def find_stack(text: str) -> Stack | None:
    """The stack trace in a text; None when there is none that Error Reporting reads."""
    if "\n" not in text:
        return None
    lines = text.split("\n", _MAXIMUM_LINES)[:_MAXIMUM_LINES]
    if _HEADER in text:
        return _python(lines)
    for read in (_go, _ruby, _php, _at):
        stack = read(lines)
        if stack is not None:
            return stack
    return None


def own_frames(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The frames that belong to the user, all where none does; a repeating sequence counts once.

    docs.cloud.google.com/error-reporting/docs/grouping-errors
    """
    own = [frame for frame in frames if not _FOREIGN.search(frame.file)] or list(frames)
    return tuple(_without_repetition(own))


def _without_repetition(frames: list[Frame]) -> list[Frame]:
    """Recursion, direct or through a few functions, leaves one round of it."""
    kept: list[Frame] = []
    for frame in frames:
        kept.append(frame)
        for length in range(1, min(len(kept) // 2, 5) + 1):
            if kept[-length:] == kept[-2 * length : -length]:
                del kept[-length:]
                break
    return kept


def _python(lines: list[str]) -> Stack | None:
    """The first complete traceback: Python prints causes first, and "the innermost exception is considered"."""
    frames: list[Frame] = []
    inside = False
    for raw in lines:
        line = _GROUP_MARGIN.sub("", raw.rstrip("\r"))
        if _HEADER in line:
            frames, inside = [], True
            continue
        if not inside:
            continue
        if line[:1].isspace() or not line:
            frame = _PYTHON_FRAME.match(line.strip())
            if frame is not None:
                frames.append(Frame(frame[1], frame[2] or ""))
            continue
        error = _PYTHON_ERROR.fullmatch(line.strip())
        if error is None or line in _CAUSES:
            inside = False
            continue
        # "module.Error" and "Error" of a traceback are told apart: they are different types.
        return Stack(error[1], tuple(reversed(frames)))
    return None


def _at(lines: list[str]) -> Stack | None:
    """Java, C# and JavaScript; of causes the last one is the innermost."""
    found: Stack | None = None
    frames: list[Frame] = []
    kind = ""
    for line in lines:
        frame = _AT_FRAME.fullmatch(line)
        if frame is not None and kind:
            place = frame[2] or frame[3] or ""
            frames.append(Frame(re.sub(r"(?::\d+)+$", "", place), frame[1] or ""))
            found = Stack(kind, tuple(frames))
            continue
        header = _AT_HEADER.fullmatch(line.rstrip("\r"))
        if header is not None:
            kind, frames = header[1], []
    return found


def _go(lines: list[str]) -> Stack | None:
    kind, frames = "", []
    running = False
    for line in lines:
        header = _GO_HEADER.fullmatch(line)
        if header is not None and not kind:
            # The values in a panic's text vary from call to call.
            kind = re.sub(r"\d+|0x[0-9a-f]+|\[.*?\]", "#", header[1])
        if line.startswith("goroutine ") and line.endswith("[running]:"):
            running = True
        elif running and not line.strip():
            break
        elif running and not line.startswith("\t"):
            frame = _GO_FRAME.match(line.removeprefix("created by "))
            if frame is not None and not frame[1].startswith(("panic", "runtime.", "runtime/debug.")):
                frames.append(Frame(frame[1].rpartition(".")[0], frame[1]))
    return Stack(kind or "panic", tuple(frames)) if frames else None


def _ruby(lines: list[str]) -> Stack | None:
    for at, line in enumerate(lines):
        header = _RUBY_HEADER.match(line)
        if header is not None:
            frames = [Frame(header[1], header[2])]
            for later in lines[at + 1 :]:
                frame = _RUBY_FRAME.match(later)
                if frame is None:
                    break
                frames.append(Frame(frame[1], frame[2]))
            return Stack(header[3], tuple(frames))
    return None


def _php(lines: list[str]) -> Stack | None:
    for at, line in enumerate(lines):
        header = _PHP_HEADER.match(line)
        if header is not None:
            found = [match for later in lines[at + 1 :] if (match := _PHP_FRAME.match(later)) is not None]
            return Stack(header[1], tuple(Frame(match[1], match[2]) for match in found))
    return None
