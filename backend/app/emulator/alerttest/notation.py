"""Series in promtool's notation (prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules), and durations.

`1+2x3` is 1 3 5 7, `4x2` is 4 4 4, `_` is no sample and `_x3` three missing ones. Between double braces, where promtool
has native histograms, stands what a distribution observed: see `distributions`.
"""

import re
from collections.abc import Iterator

from .distributions import Observations, observations
from .errors import ScriptError

Sample = float | Observations | None

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PART = re.compile(r"\{\{.*?\}\}(?:x\d+)?|\S+", re.DOTALL)
_SCALAR = re.compile(rf"(?P<first>_|true|false|{_NUMBER})(?:(?P<step>[+-](?:{_NUMBER}))?x(?P<times>\d+))?")
_DISTRIBUTION = re.compile(r"\{\{(?P<inside>.*)\}\}(?:x(?P<times>\d+))?", re.DOTALL)
_MOST_SAMPLES = 2_000_000


def seconds_of(text: object) -> float:
    """`90s`, `1m30s`, `2h`, `7d`; a bare number is seconds."""
    if isinstance(text, int | float) and not isinstance(text, bool) and text >= 0:
        return float(text)
    parts = _DURATION.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text):
        raise ScriptError(f"{text} is not a duration such as 90s, 5m or 1h30m")
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))


def duration_text(seconds: float) -> str:
    """The shortest spelling that `seconds_of` reads: `1h5m`, `90s` as `1m30s`."""
    if seconds <= 0:
        return "0s"
    whole, rest = divmod(round(seconds, 3), 1)
    shown = ""
    left = int(whole)
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, int(_UNITS[unit]))
        shown += f"{count}{unit}" if count else ""
    return shown + (f"{round(rest * 1000)}ms" if rest else "")


def expand(notation: str) -> Iterator[Sample]:
    """The samples that a text stands for.

    Raises:
        ScriptError: It is not in this notation.
    """
    count = 0
    for part in _PART.findall(notation):
        for sample in _expanded(part):
            count += 1
            if count > _MOST_SAMPLES:
                raise ScriptError(f"a series of more than {_MOST_SAMPLES:,} samples")
            yield sample


def _expanded(part: str) -> Iterator[Sample]:
    braces = _DISTRIBUTION.fullmatch(part)
    if braces is not None:
        yield from [observations(braces["inside"])] * (int(braces["times"] or 0) + 1)
        return
    match = _SCALAR.fullmatch(part)
    if match is None:
        why = ": Cloud Monitoring has no staleness markers, write _" if part.startswith("stale") else ""
        raise ScriptError(f"{part} is not in promtool's series notation{why}")
    times = int(match["times"] or 0)
    if match["first"] == "_":
        # promtool: `_x3` is three missing samples, while `4x3` is one 4 and three more.
        yield from [None] * (times if match["times"] else 1)
        return
    first = {"true": 1.0, "false": 0.0}.get(match["first"])
    first = float(match["first"]) if first is None else first
    step = _step(match["step"])
    yield from (first + step * index for index in range(times + 1))


def _step(text: str | None) -> float:
    """`+2`, `-0.5`; a second sign belongs to the number: `+-2`."""
    if not text:
        return 0.0
    value = float(text[1:])
    return -value if text[0] == "-" else value
