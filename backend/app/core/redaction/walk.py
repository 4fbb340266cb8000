"""Nested data of any kind, as plain data without secrets; bounded in depth and size."""

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from ..texts import without_text
from .detectors import is_card_number
from .keys import Verdict

if TYPE_CHECKING:
    from .policy import Redaction

_DEEPEST: Final = 16
_MOST_VALUES: Final = 10_000
_REMEMBERED: Final = 2048
_LONGEST_REMEMBERED: Final = 256
# From 13 digits on a number may be that of a card.
_SMALL: Final = 10**12
# A list of more values is looked at one by one.
_SHORT: Final = 64
# Longer numbers are slow to write out, and Python refuses at 4,300 digits.
_MOST_BITS: Final = 4096
#: Without these an entry is none: they stay however much there is before them.
_NEVER_CUT: Final = frozenset({"severity", "message", "logger"})
# Beside a `value` they say what it is: Kubernetes' environment, HAR files, form fields.
_NAMES: Final = ("name", "key", "header")
#: What looks random in these is a secret like one in an address.
_ADDRESSES: Final = frozenset(
    {"path", "url", "uri", "href", "referer", "referrer", "location", "request_url", "full_path"}
)
_PLAIN: Final = (
    bool,
    type(None),
    dt.date,
    dt.time,
    dt.timedelta,
    decimal.Decimal,
    uuid.UUID,
)


class Known:
    """Keys that are clear in every way, and short texts without a secret: what comes again costs a look-up."""

    __slots__ = ("keys", "texts")

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.texts: set[str] = set()


def collect(fields: dict[str, object], keys: set[str], texts: set[str], unknown: list[str], depth: int) -> bool:
    """Gather the texts that are not known to be clean; False when something here needs a `Walk`."""
    for key, value in fields.items():
        if key not in keys:
            return False
        kind = type(value)
        if kind is str:
            if value not in texts:
                unknown.append(value)  # type: ignore[arg-type]  # `kind` is str
        elif kind is dict:
            # `value` is what `Walk.mapping` looks at more closely.
            known = depth and "value" not in value  # type: ignore[operator]  # `kind` is dict
            if not known or not collect(value, keys, texts, unknown, depth - 1):  # type: ignore[arg-type]  # as above
                return False
        elif kind is list:
            if not _collect_items(value, texts, unknown):  # type: ignore[arg-type]  # `kind` is list
                return False
        elif not _is_plain(value, kind):
            return False
    return True


def _collect_items(items: list[object], texts: set[str], unknown: list[str]) -> bool:
    """The same for a short list of plain values that is no command line."""
    if len(items) > _SHORT:
        return False
    for item in items:
        kind = type(item)
        if kind is str:
            if item.startswith("--"):  # type: ignore[attr-defined]  # `kind` is str
                return False
            if item not in texts:
                unknown.append(item)  # type: ignore[arg-type]  # as above
        elif not _is_plain(item, kind):
            return False
    return True


def _is_plain(value: Any, kind: type) -> bool:
    """Whether it is a number that is neither a card's nor one that JSON lacks, a truth value, or nothing."""
    if kind is int:
        return bool(-_SMALL < value < _SMALL)
    if kind is float:
        return bool(value - value == 0.0)
    return kind is bool or value is None


class Walk:
    """One way through one value."""

    def __init__(self, policy: "Redaction") -> None:
        self._policy = policy
        self._left = _MOST_VALUES
        self._above: set[int] = set()

    def mapping(self, fields: Mapping[object, object] | Mapping[str, object]) -> dict[str, object]:
        result: dict[str, object] = {}
        policy = self._policy
        cut = 0
        about = self._named(fields) if "value" in fields else ""
        for key, value in fields.items():
            if self._left <= 0 and (self._above or key not in _NEVER_CUT):
                cut += 1
                if self._above:
                    break
                continue
            name = key if type(key) is str else _text(key)
            shown = self._key(name)
            if shown in result:
                shown = f"{shown} ({len(result) + 1})"  # 1 and "1", or two addresses: neither hides the other
            verdict = policy.verdict(about if about and name == "value" else name)
            if verdict and _can_be_secret(value, verdict):
                self._left -= 1
                if not policy.drops_keys:
                    result[shown] = policy.secret(_text(value))
            elif type(value) is str and name.lower() in _ADDRESSES:
                result[shown] = policy.url(value)
            elif self._above:
                result[shown] = self.value(value)
            else:  # no field of an entry takes more than half of what is left: others may follow it
                others = self._left // 2
                self._left -= others
                result[shown] = self.value(value)
                self._left = max(self._left, 0) + others
        if cut:
            result["[cut]"] = f"{len(fields) - len(result)} more fields"
        return result

    def _named(self, fields: Mapping[object, object] | Mapping[str, object]) -> str:
        """What a `value` is the value of, where that stands beside it: `{"name": "DB_PASSWORD", "value": "..."}`."""
        named = next((fields[name] for name in _NAMES if name in fields), "")
        return named if type(named) is str and self._policy.verdict(named) else ""

    def value(self, value: object) -> object:
        """Plain data: what JSON has, and dates and ids that are written as texts."""
        self._left -= 1
        # A text costs no more than its length, and a line that says what happened is worth it.
        if self._left < 0 and (self._above or type(value) is not str):
            return "[cut]"
        try:
            return self._value(value)
        except Exception as error:  # noqa: BLE001  # any code may stand in `__str__`, `__class__`, `items`, ...
            return without_text(value, error)

    def _value(self, value: object) -> object:
        if isinstance(value, Enum):
            return self.value(value.value)
        if isinstance(value, str):
            return self._string(str.__str__(value))  # of a subclass too: its own text, whatever it overrides
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, float):
            number = float.__float__(value)
            return number if isfinite(number) else float.__repr__(number)
        if isinstance(value, int):
            return self._int(int.__int__(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._policy.text(bytes(value).decode("utf-8", "replace"))
        if isinstance(value, BaseException):
            return self._policy.error(_text(value))
        if isinstance(value, Mapping | list | tuple | AbstractSet):
            return self._container(value)
        return self._policy.text(_text(value))

    def _int(self, value: int) -> object:
        if value.bit_length() > _MOST_BITS:
            return f"[a number of {value.bit_length()} bits]"
        return self._policy.text(str(value)) if value >= _SMALL and _is_card(value) else value

    def _container(
        self, value: "Mapping[object, object] | list[object] | tuple[object, ...] | AbstractSet[object]"
    ) -> object:
        if id(value) in self._above:
            return "[cycle]"
        if len(self._above) >= _DEEPEST:
            return "[too deep]"
        self._above.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self.mapping(value)
            if self._is_pair(value):
                return [self.value(value[0]), self._policy.secret(_text(value[1]))]
            items: list[object] = []
            before: object = None
            for item in value:
                if isinstance(item, str) and self._is_option(before):
                    items.append(self._policy.secret(_text(item)))
                elif isinstance(item, list) and len(item) == 2 and self._is_pair(tuple(item)):  # noqa: PLR2004  # a pair
                    items.append([self.value(item[0]), self._policy.secret(_text(item[1]))])  # a header, out of JSON
                else:
                    items.append(self.value(item))
                before = item
                if self._left < 0:
                    break
            return items
        finally:
            self._above.discard(id(value))

    def _is_option(self, before: object) -> bool:
        """Of a command line: `["psql", "--password", "..."]`."""
        return type(before) is str and before.startswith("--") and bool(self._policy.verdict(before))

    def _is_pair(self, value: object) -> TypeGuard[tuple[str | bytes, object]]:
        """A header, as ASGI and httpx have it: `(b"cookie", b"...")`."""
        if not isinstance(value, tuple) or len(value) != 2 or not isinstance(value[0], str | bytes):  # noqa: PLR2004
            return False
        return bool(self._policy.verdict(_text(value[0]))) and isinstance(value[1], str | bytes)

    def _string(self, text: str) -> str:
        known = self._policy.known.texts
        if text in known:
            return text
        redacted = self._policy.text(text)
        if redacted == text and len(text) <= _LONGEST_REMEMBERED:
            _remember(known, text)
        return redacted

    def _key(self, name: str) -> str:
        known = self._policy.known.keys
        if name in known:
            return name
        shown = self._policy.text(name)
        clear = shown == name and not self._policy.verdict(name) and name.lower() not in _ADDRESSES
        if clear and len(name) <= _LONGEST_REMEMBERED:
            _remember(known, name)
        return shown


def _remember(known: set[str], text: str) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known.add(text)


def _can_be_secret(value: object, verdict: Verdict) -> bool:
    """None, flags and the empty text tell nothing; a number beneath `tokens` is how many."""
    if value is None or type(value) is bool or (type(value) is str and not value):
        return False
    return verdict == Verdict.SECRET or type(value) not in {int, float}


def _is_card(number: int) -> bool:
    return number < 10**19 and is_card_number(str(number))


def _text(value: object) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if hasattr(type(value), "__dataclass_fields__") or hasattr(type(value), "__pydantic_fields__"):
            return repr(value)
        return str.__str__(str(value))
    except Exception as error:  # noqa: BLE001  # any code may stand in a `__str__`
        return without_text(value, error)
