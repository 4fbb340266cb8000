"""Log lines for people: time, severity, message; control characters shown, never sent to the terminal."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from ..clock import NANOS

_COLOURS = {
    "DEBUG": "2",
    "INFO": "32",
    "NOTICE": "36",
    "WARNING": "33",
    "ERROR": "31",
    "CRITICAL": "1;31",
    "ALERT": "1;31",
    "EMERGENCY": "1;31",
}
# C0 and C1 controls but tab, and the characters that turn text around (unicode.org/reports/tr9).
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def escaped(text: str, *, lines: bool = False) -> str:
    r"""Control characters as `\x1b`; with `lines` a break stays one, indented so that no entry can fake another."""

    def show(match: re.Match[str]) -> str:
        character = match.group()
        if character == "\n":
            return "\n    " if lines else "\\n"
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004  # two or four digits

    return _CONTROL.sub(show, text.rstrip("\n") if lines else text)


def readable(nanos: int, severity: str, message: str, *, colour: bool) -> str:
    """`12:00:01.250 WARNING  the message`, the time in this machine's zone."""
    moment = datetime.fromtimestamp(nanos // NANOS, UTC).astimezone()
    name = f"{severity:<8}"
    if colour and severity in _COLOURS:
        name = f"\x1b[{_COLOURS[severity]}m{name}\x1b[0m"
    return f"{moment:%H:%M:%S}.{nanos % NANOS // 10**6:03d} {name} {escaped(message, lines=True)}"


def message_of(payload: dict[str, Any], request: dict[str, Any]) -> str:
    """The one line that Logs Explorer shows of an entry: its message, else its request, else all of it."""
    message = payload.get("message")
    if isinstance(message, str) and message:
        return message
    if request.get("requestMethod"):
        parts = [request.get(name) for name in ("requestMethod", "requestUrl", "status", "latency")]
        return " ".join(str(part) for part in parts if part is not None)
    return json.dumps(payload, ensure_ascii=False)
