"""No line is longer than the platform takes: the longest texts of an entry are shortened, and it says so.

Cloud Logging refuses entries beyond 256 KiB (cloud.google.com/logging/quotas#log-limits).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ..redaction.policy import CUT_MARK

#: What a line may have, newline and all; the rest of 256 KiB is for what the platform adds (resource, log name).
LINE_BYTES: Final = 250 * 1024
MARK: Final = "... [truncated]"
_FIELD: Final = "truncated"
# Room for that field itself.
_RESERVE: Final = 1024
_MOST_NAMES: Final = 12
_DEEPEST: Final = 16
_MOST_VALUES: Final = 20_000
_LEAST_TEXT: Final = 256
#: Without these an entry is found by nobody; each of them is short when it is right.
_KEPT: Final = ("severity", "time", "timestamp", "message", "logger", "request_id")
_KEPT_PREFIX: Final = "logging.googleapis.com/"


def fit(entry: dict[str, Any], limit: int = LINE_BYTES) -> dict[str, Any]:
    """The entry, or a copy of it with its longest texts shortened so that its line is within `limit` bytes.

    The copy has a field `truncated`: `{"original_bytes": 300000, "fields": ["message"]}`. Never raises.
    """
    try:
        return _fit(entry, limit)
    except Exception as error:  # noqa: BLE001  # any code may stand in a field's `__str__`
        return _bare(entry, limit, type(error).__name__)


@dataclass(slots=True)
class _Text:
    """A text somewhere in an entry, and how to put another in its place."""

    name: str
    text: str
    size: int
    replace: Callable[[str], None]


def _fit(entry: dict[str, Any], limit: int) -> dict[str, Any]:
    original = _size(entry)
    if original <= limit:
        return entry
    copy, texts = _copied(entry, original)
    budget = limit - _RESERVE
    names = _shorten(texts, original - budget)
    if _size(copy) > budget:  # many small values: fields as a whole become texts, the largest first
        names += _flatten(copy, budget)
    missing = sum(_missing(text.text) for text in texts)
    copy[_FIELD] = {"original_bytes": original + missing, "fields": _listed(names)}
    return copy if _size(copy) <= limit else _bare(entry, limit, "")


def _missing(text: str) -> int:
    """How much redaction has cut off already, which looks at no longer texts."""
    if not text.endswith(CUT_MARK):
        return 0
    number = text[: -len(CUT_MARK)].rpartition(" [")[2]
    return int(number) if number.isdecimal() and len(number) < len(str(1 << 40)) else 0


def _listed(names: list[str]) -> list[str]:
    unique = sorted({name[:80] for name in names})
    more = len(unique) - _MOST_NAMES
    return [*unique[:_MOST_NAMES], f"and {more} more"] if more > 0 else unique


def _copied(entry: dict[str, Any], original: int) -> tuple[dict[str, Any], list[_Text]]:
    texts: list[_Text] = []
    values = size = 0

    def copy(value: Any, name: str, depth: int, put: Callable[[Any], None]) -> None:
        nonlocal values, size
        values += 1
        if isinstance(value, str):
            texts.append(_Text(name, value, _size(value), put))
            size += texts[-1].size
        # What is in a cycle comes again and again, until it is longer than the whole.
        deeper = depth < _DEEPEST and values < _MOST_VALUES and size <= original
        if deeper and isinstance(value, Mapping):
            inner: dict[str, Any] = {}
            put(inner)
            for key, child in value.items():
                place = key if isinstance(key, str) else _plain(key)
                copy(child, f"{name}.{place}" if name else place, depth + 1, _setter(inner, place))
        elif deeper and isinstance(value, list | tuple):
            items: list[Any] = [None] * len(value)
            put(items)
            for index, child in enumerate(value):
                copy(child, f"{name}[]", depth + 1, _setter(items, index))
        elif isinstance(value, Mapping | list | tuple):
            put(MARK)
        else:
            put(value)

    result: list[dict[str, Any]] = []
    copy(entry, "", 0, result.append)
    return result[0], texts


def _setter(container: Any, key: Any) -> Callable[[Any], None]:
    def put(value: Any) -> None:
        container[key] = value

    return put


def _shorten(texts: list[_Text], excess: int) -> list[str]:
    """Cut the longest texts down to one common length, until `excess` bytes are gone."""
    texts = sorted((one for one in texts if not _is_kept(one.name)), key=lambda one: one.size, reverse=True)
    level, freed = 0, 0
    for index, text in enumerate(texts):
        shorter = texts[index + 1].size if index + 1 < len(texts) else 0
        freed += (index + 1) * (text.size - shorter)
        if freed >= excess:
            level = shorter + (freed - excess) // (index + 1)
            break
    level = max(level, len(MARK) + 2)
    names = []
    for text in texts:
        if text.size <= level:
            break
        text.replace(_cut(text, level))
        names.append(text.name)
    return names


def _is_kept(name: str) -> bool:
    return name.startswith(_KEPT_PREFIX) or (name in _KEPT and name != "message")


def _cut(text: _Text, size: int) -> str:
    """The text within `size` bytes of JSON. Of a stack trace the end stays as well: there stands what was raised."""
    room = size - len(MARK) - 4
    if text.name.rpartition(".")[2] in {"stack_trace", "exception"}:
        head = _prefix(text.text, room // 4)
        tail = _prefix(text.text[::-1], room - room // 4 - 2)[::-1]
        return f"{head[: head.rfind(chr(10)) + 1] or head}{MARK}\n{tail[tail.find(chr(10)) + 1 :]}"
    return _prefix(text.text, room) + MARK


def _prefix(text: str, size: int) -> str:
    """As much of a text as takes no more than `size` bytes of JSON, give or take its quotes."""
    text = text[: max(0, size)]
    while text and (length := _size(text) - 2) > size:  # few rounds: it shrinks by the ratio it is too long by
        text = text[: min(len(text) - 1, len(text) * size // length)]
    return text


def _flatten(entry: dict[str, Any], budget: int) -> list[str]:
    """Make texts of whole fields, the largest first, and leave out what is still too many."""
    names = []
    sizes = {name: _size(value) for name, value in entry.items() if not _is_kept(name)}
    excess = _size(entry) - budget
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if excess <= 0:
            break
        names.append(name)
        if sizes[name] > 2 * _LEAST_TEXT:
            value = entry[name]
            text = value if isinstance(value, str) else _json(value).decode(errors="replace")
            entry[name] = _prefix(text, max(_LEAST_TEXT, min(sizes[name] - excess, budget // 2))) + MARK
            excess -= sizes[name] - _size(entry[name])
        elif name != "message":
            del entry[name]
            excess -= sizes[name] + len(name) + 4
    return names


def _bare(entry: dict[str, Any], limit: int, failure: str) -> dict[str, Any]:
    """The least that is still an entry."""
    room = max(64, (limit - _RESERVE) // (2 * len(_KEPT)))
    kept: dict[str, Any] = {}
    for name in [*_KEPT, *(name for name in entry if str(name).startswith(_KEPT_PREFIX))]:
        if name in entry:
            value = entry[name]
            kept[name] = value if _size(value) <= room else _prefix(_plain(value), room)
    kept[_FIELD] = {"fields": ["all others"], **({"failure": failure} if failure else {})}
    return kept


def _plain(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # any code may stand in a `__str__`
        return f"<{type(value).__name__} without a text: {type(error).__name__}>"


def _size(value: object) -> int:
    return len(_json(value))


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except Exception:  # noqa: BLE001  # lone surrogates, huge numbers, depth, cycles: measured by a text of it
        return json.dumps(_plain(value)).encode()
