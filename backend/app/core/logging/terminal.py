"""Log entries for people: what matters in one line, colours where there are any, the stack trace below.

Nothing that comes from data reaches the terminal as a control character: an entry can neither colour, move or erase
anything, nor pretend to be another entry.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

_OURS: Final = str(Path(__file__).parents[1]) + os.sep
_RESET: Final = "\x1b[0m"
_DIM: Final = "2"
_BOLD: Final = "1"
_COLOURS: Final = {
    "DEBUG": "2",
    "INFO": "32",
    "NOTICE": "36",
    "WARNING": "33",
    "ERROR": "31",
    "CRITICAL": "1;31",
    "ALERT": "1;31",
    "EMERGENCY": "1;31",
}
_BY_STATUS: Final = {1: "36", 2: "32", 3: "36", 4: "33", 5: "31"}
# From these on a person would notice; milliseconds.
_SLOW_MS: Final = 1000.0
_VERY_SLOW_MS: Final = 5000.0
_SECOND_MS: Final = 1000.0
# A shorter answer is no stream.
_STREAM_SECONDS: Final = 0.1
_MINUTE_MS: Final = 60_000.0

#: The same in every entry, links that only a console can follow, or shown in a place of their own.
_NOT_FIELDS: Final = frozenset(
    {
        "@type",
        "context",
        "exception",
        "httpRequest",
        "logger",
        "message",
        "serviceContext",
        "severity",
        "stack_trace",
        "time",
        "timestamp",
        "logging.googleapis.com/insertId",
        "logging.googleapis.com/labels",
        "logging.googleapis.com/sourceLocation",
        "logging.googleapis.com/spanId",
        "logging.googleapis.com/trace",
        "logging.googleapis.com/trace_sampled",
    }
)
#: Worth having, seldom worth reading.
_QUIET: Final = ("route", "request_id")
_GRAVE: Final = frozenset({"WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"})

# C0 and C1 controls but tab, what breaks or turns lines around (unicode.org/reports/tr9), tags, lone surrogates.
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
# What needs no quotation marks.
_PLAIN: Final = re.compile(r"[^\s\"'=\[{][^\s\"'=]*")
_FRAME: Final = re.compile(r'  File "')
_LIBRARY: Final = re.compile(
    rf'File "(?:[^"]*[/\\](?:site-packages|dist-packages|lib[/\\]python3[^"/\\]*)[/\\]|{re.escape(_OURS)}|<frozen )'
)
# An id that this library made; its beginning tells two requests apart.
_LONG_ID: Final = re.compile(r"[0-9a-f]{32}")
_SHORT_ID: Final = 8


def wants_colour(is_terminal: bool, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour: no-color.org first, then FORCE_COLOR, then whether somebody looks on."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in {"", "0", "false"}:
        return True
    return is_terminal and environ.get("TERM", "") != "dumb"


class Terminal:
    """Stands before an output and makes its lines readable.

    Args:
        write: Takes each line, with its newline.
        colour: Whether to colour.
    """

    def __init__(self, write: Callable[[bytes], None], *, colour: bool) -> None:
        self._write = write
        self._colour = colour

    def __call__(self, line: bytes) -> None:
        self._write(self.text(line))

    def text(self, line: bytes) -> bytes:
        """What stands in the terminal for a line."""
        try:
            entry = json.loads(line)  # unlike orjson it takes lone surrogates, and nobody waits for a terminal
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict):
            text = render_terminal(entry, self._colour)
        else:
            text = escaped(line.decode(errors="replace").rstrip("\n"))
        return text.encode(errors="backslashreplace") + b"\n"


def render_terminal(entry: Mapping[str, Any], colour: bool) -> str:
    """The text of an entry, without its last newline. Never raises for what came out of JSON."""
    paint = _paint if colour else _plain
    severity = _text(entry.get("severity") or "DEFAULT")
    grave = severity in _GRAVE
    request = entry.get("httpRequest")
    if isinstance(request, Mapping) and "requestMethod" in request:
        said, source = _request_line(request, paint), ""
    else:
        said = escaped(_text(entry.get("message", "")), lines=True)
        said = paint(_BOLD, said) if grave else said
        place = _place(entry.get("logging.googleapis.com/sourceLocation")) if grave else ""
        source = " ".join(part for part in (escaped(_text(entry.get("logger", ""))), place) if part)
    head = [paint(_DIM, _clock(entry.get("time"))), paint(_COLOURS.get(severity, ""), f"{escaped(severity):<8}"), said]
    tail = [*_fields(entry, paint), paint(_DIM, f"[{source}]") if source else ""]
    line = f"{' '.join(head)}  {' '.join(part for part in tail if part)}".rstrip()
    trace = entry.get("stack_trace") or entry.get("exception")
    return f"{line}\n{_stack_trace(_text(trace), paint)}" if trace else line


def escaped(text: str, *, lines: bool = False) -> str:
    r"""Control characters as `\x1b`; with `lines` a break stays one, indented so that no entry can fake another."""

    def show(match: re.Match[str]) -> str:
        character = match.group()
        if character == "\n":
            return "\n    " if lines else "\\n"
        if character == "\r":
            return "\\r"
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004  # two or four digits

    return _CONTROL.sub(show, text.rstrip("\n") if lines else text)


def _paint(style: str, text: str) -> str:
    return f"\x1b[{style}m{text}{_RESET}" if style and text else text


def _plain(_style: str, text: str) -> str:
    return text


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except Exception:  # noqa: BLE001  # whatever it is, it has a place in the line
        return f"<{type(value).__name__}>"


def _clock(value: object) -> str:
    """The time of day here; what is no time stands as it is."""
    try:
        moment = datetime.fromisoformat(f"{str(value)[:26].rstrip('Z')}Z").astimezone()
    except ValueError:
        return escaped(str(value)) if value else f"{datetime.now(UTC).astimezone():%H:%M:%S}"
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def _request_line(request: Mapping[str, Any], paint: Callable[[str, str], str]) -> str:
    status = request.get("status")
    number = status if isinstance(status, int) else 0
    path = escaped(_text(request.get("requestUrl", "")))
    parts = [
        paint(_BOLD, f"{escaped(_text(request['requestMethod'])):<6} {path}"),
        paint(_BY_STATUS.get(number // 100, ""), escaped(_text(status))) if status is not None else "",
        _latency(request.get("latency"), paint),
    ]
    return " ".join(part for part in parts if part)


def _latency(value: object, paint: Callable[[str, str], str]) -> str:
    try:
        milliseconds = float(str(value).removesuffix("s")) * 1000
    except ValueError:
        return ""
    style = _DIM if milliseconds < _SLOW_MS else "33" if milliseconds < _VERY_SLOW_MS else "31"
    return paint(style, human(milliseconds))


def human(milliseconds: float) -> str:
    """A duration as people say it: 0.42 ms, 12.3 ms, 480 ms, 1.25 s, 2 min 05 s."""
    if milliseconds < _SECOND_MS:
        digits = 2 if milliseconds < 1 else 1 if milliseconds < 100 else 0  # noqa: PLR2004  # three digits in all
        return f"{milliseconds:.{digits}f} ms"
    if milliseconds < _MINUTE_MS:
        return f"{milliseconds / 1000:.2f} s"
    minutes, seconds = divmod(int(milliseconds / 1000), 60)
    return f"{minutes} min {seconds:02d} s"


def _fields(entry: Mapping[str, Any], paint: Callable[[str, str], str]) -> list[str]:
    request = entry.get("httpRequest")
    names = [name for name in entry if name not in _NOT_FIELDS and not _says_nothing_new(name, entry[name], request)]
    names.sort(key=lambda name: name in _QUIET)  # stable: the others keep the order in which they were given
    parts = []
    for name in names:
        value = entry[name]
        shown = _value(value)
        if name in _QUIET:
            if _LONG_ID.fullmatch(shown):
                shown = f"{shown[:_SHORT_ID]}…"
            parts.append(paint(_DIM, f"{escaped(name)}={shown}"))
        else:
            parts.append(f"{paint('36', escaped(_text(name)))}{paint(_DIM, '=')}{shown}")
    return parts


def _says_nothing_new(name: str, value: object, request: object) -> bool:
    if not isinstance(value, str) or not isinstance(request, Mapping):
        return False
    if name == "time_to_first_byte":  # of a stream it says much, of other answers what the latency says
        latency = _seconds(request.get("latency"))
        return latency < _STREAM_SECONDS or _seconds(value) > latency / 2
    return (name, value) in {("outcome", "ok"), ("route", request.get("requestUrl"))}


def _seconds(value: object) -> float:
    try:
        return float(str(value).removesuffix("s"))
    except ValueError:
        return 0.0


def _value(value: object) -> str:
    text = _text(value)
    if isinstance(value, str) and not _PLAIN.fullmatch(text):
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return escaped(text)


def _place(location: object) -> str:
    if not isinstance(location, Mapping) or not location.get("file"):
        return ""
    file = _text(location["file"]).rpartition("/")[2]
    return escaped(f"{file}:{_text(location.get('line', ''))}")


def _stack_trace(trace: str, paint: Callable[[str, str], str]) -> str:
    lines = []
    for line in _without_libraries(trace.rstrip("\n").split("\n")):
        shown = escaped(line)
        if line.startswith(('  File "', "  ...")):
            shown = paint(_DIM, shown)
        elif line and not line.startswith((" ", "Traceback", "During handling", "The above exception")):
            shown = paint("31", shown)
        lines.append(f"    {shown}" if shown else "")
    return "\n".join(lines)


def _without_libraries(lines: list[str]) -> list[str]:
    """Frames of installed packages, of Python and of this library as one line: thirty stand before the app's first.

    The last frame before a message stays, whoever's it is: that is where it was raised.
    """
    frames: list[list[str]] = []
    shown: list[str] = []
    for line in [*lines, ""]:
        frame = _FRAME.match(line)
        if frame is not None:
            frames.append([line])
        elif frames and line.startswith("    "):
            frames[-1].append(line)
        else:
            shown += _collapsed(frames)
            frames = []
            shown.append(line)
    return shown[:-1]


def _collapsed(frames: list[list[str]]) -> list[str]:
    shown: list[str] = []
    hidden = 0
    for number, frame in enumerate(frames):
        if number < len(frames) - 1 and _LIBRARY.search(frame[0]):
            hidden += 1
            continue
        shown += ([_hidden(hidden)] if hidden else []) + frame
        hidden = 0
    return shown


def _hidden(frames: int) -> str:
    return f"  ... {frames} {'frame' if frames == 1 else 'frames'} of libraries"
