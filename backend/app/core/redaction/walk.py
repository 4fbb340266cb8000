"""Nested data of any kind, as plain data without secrets; bounded in depth and size."""

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeGuard

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
_PLAIN: Final = (
    float,
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
        elif kind is int:
            if not -_SMALL < value < _SMALL:  # type: ignore[operator]  # `kind` is int
                return False
        elif kind is dict:
            if not depth or not collect(value, keys, texts, unknown, depth - 1):  # type: ignore[arg-type]  # a dict
                return False
        elif kind is not bool and kind is not float and value is not None:
            return False
    return True


class Walk:
    """One way through one value."""

    def __init__(self, policy: "Redaction") -> None:
        self._policy = policy
        self._left = _MOST_VALUES
        self._above: set[int] = set()

    def mapping(self, fields: Mapping[object, object] | Mapping[str, object]) -> dict[str, object]:
        result: dict[str, object] = {}
        policy = self._policy
        for key, value in fields.items():
            if self._left <= 0:
                result["[cut]"] = f"{len(fields) - len(result)} more fields"
                break
            name = key if type(key) is str else _text(key)
            shown = self._key(name)
            verdict = policy.verdict(name)
            if verdict and _can_be_secret(value, verdict):
                self._left -= 1
                if not policy.drops_keys:
                    result[shown] = policy.secret(_text(value))
            else:
                result[shown] = self.value(value)
        return result

    def value(self, value: object) -> object:
        self._left -= 1
        if self._left < 0:
            return "[cut]"
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, Enum):
            return self.value(value.value)
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, int):
            return self._policy.text(str(value)) if value >= _SMALL and _is_card(value) else value
        if isinstance(value, bytes | bytearray | memoryview):
            return self._policy.text(bytes(value).decode("utf-8", "replace"))
        if isinstance(value, BaseException):
            return self._policy.error(_text(value))
        if isinstance(value, Mapping | list | tuple | AbstractSet):
            return self._container(value)
        return self._policy.text(_text(value))

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
            items = []
            for item in value:
                items.append(self.value(item))
                if self._left < 0:
                    break
            return items
        finally:
            self._above.discard(id(value))

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
        if shown == name and len(name) <= _LONGEST_REMEMBERED and not self._policy.verdict(name):
            _remember(known, name)
        return shown


def _remember(known: set[str], text: str) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known.add(text)


def _can_be_secret(value: object, verdict: Verdict) -> bool:
    """None, flags and the empty text tell nothing; a number beneath `tokens` is how many."""
    if value is None or isinstance(value, bool) or value == "":
        return False
    return verdict == Verdict.SECRET or not isinstance(value, int | float)


def _is_card(number: int) -> bool:
    return number < 10**19 and is_card_number(str(number))


def _text(value: object) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if hasattr(type(value), "__dataclass_fields__") or hasattr(type(value), "__pydantic_fields__"):
            return repr(value)
        return str(value)
    except Exception as error:  # noqa: BLE001  # any code may stand in a `__str__`
        return f"<{type(value).__name__} without a text: {type(error).__name__}>"
