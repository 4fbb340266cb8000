"""What a request to the Prometheus API asks for: names, times and durations as that API writes them."""

import math
import re
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from .model import QueryError

LABEL: Final = "label"  # the name of the path's own parameter
LONGEST: Final = 2**53
_MAX_FORM_BYTES: Final = 1 << 20
_DURATION: Final = re.compile(r"(?=\d)(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS: Final = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1)

Parameters = dict[str, list[str]]


class BadParameterError(QueryError):
    pass


def required(parameters: Parameters, name: str) -> str:
    value = parameters.get(name, [""])[0]
    if not value:
        raise BadParameterError(f'invalid parameter "{name}": it is missing')
    return value


async def parameters_of(request: Request) -> Parameters:
    """From the address and, for a POST, from the form in its body."""
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_FORM_BYTES:
                raise BadParameterError(f"the form is larger than {_MAX_FORM_BYTES} bytes")
        pairs += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    parameters: Parameters = {}
    for name, value in pairs:
        parameters.setdefault(name, []).append(value)
    if LABEL in request.path_params:
        parameters[LABEL] = [request.path_params[LABEL]]
    return parameters


def moment(parameters: Parameters, name: str, default: int) -> int:
    """Milliseconds, from seconds or RFC 3339."""
    text = parameters.get(name, [""])[0]
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = _rfc3339(name, text)
    if not abs(seconds) < LONGEST / 1000:
        raise BadParameterError(f'invalid parameter "{name}": "{text}" is out of bounds')
    return round(seconds * 1000)


def _rfc3339(name: str, text: str) -> float:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = datetime.min  # noqa: DTZ901  # stands for any time that does not say where
    if read.tzinfo is None:
        raise BadParameterError(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp')
    return read.timestamp()


def duration(name: str, text: str) -> int:
    """Milliseconds, from seconds or `1h30m`."""
    match = _DURATION.fullmatch(text)
    if match:
        millis = sum(int(count) * unit for count, unit in zip(match.groups("0"), _UNITS, strict=True))
    else:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if math.isnan(seconds):
            raise BadParameterError(f'invalid parameter "{name}": cannot parse "{text}" to a valid duration')
        millis = round(seconds * 1000) if abs(seconds) < LONGEST / 1000 else LONGEST
    if not 0 < millis < LONGEST:
        raise BadParameterError(
            f'invalid parameter "{name}": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer"
        )
    return millis
