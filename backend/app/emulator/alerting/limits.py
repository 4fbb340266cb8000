"""Limits that several of Monitoring's configuration objects share."""

from collections.abc import Mapping

from ..clock import NANOS
from ..status import invalid_field
from .messages import Raw

_MOST_LABELS = 64
_LONGEST_LABEL = 63
_LABEL_BYTES = 128
LONGEST_DISPLAY_NAME = 512


def seconds(duration: Raw) -> float:
    return float(duration.seconds + duration.nanos / NANOS)


def check_display_name(name: str, path: str) -> None:
    if len(name) > LONGEST_DISPLAY_NAME:
        raise invalid_field(path, f"must not exceed {LONGEST_DISPLAY_NAME} Unicode characters.", name)


def check_user_labels(labels: Mapping[str, str], path: str) -> None:
    """At most 64 of 63 characters or 128 bytes: lower case, digits, `_`, `-` (google/monitoring/v3/alert.proto)."""
    if len(labels) > _MOST_LABELS:
        raise invalid_field(path, f"can contain up to {_MOST_LABELS} entries, not {len(labels)}.")
    for key, value in labels.items():
        for part in (key, value):
            if len(part) > _LONGEST_LABEL or len(part.encode()) > _LABEL_BYTES:
                raise invalid_field(path, f"keys and values are limited to {_LONGEST_LABEL} characters.", part)
            if any(not (letter in "_-" or letter.isdigit() or _is_lower(letter)) for letter in part):
                raise invalid_field(
                    path, "keys and values hold only lowercase letters, numerals, underscores and dashes.", part
                )
        if not key or not _is_lower(key[0]):
            raise invalid_field(path, "keys must begin with a lowercase letter.", key)


def _is_lower(letter: str) -> bool:
    return letter.isalpha() and letter == letter.lower()
