"""Whatever is logged comes out as one line of strict JSON that says what happened, and the call does not fail."""

import asyncio
import collections
import decimal
import gc
import json
import logging
import math
import threading
import types
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core import get_logger
from app.core.logging.limits import LINE_BYTES
from app.core.logging.setup import StdoutHandler
from support.service import Observed, observed

SEVERITIES = {"DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY", "DEFAULT"}


class NoText:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class NoClass:
    @property
    def __class__(self) -> type:
        raise RuntimeError("no class")

    @__class__.setter
    def __class__(self, value: type) -> None: ...


class NoAttributes:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class NoString:
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307  # hostile


class LyingText(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def encode(self, *_: Any) -> bytes:
        raise RuntimeError("no bytes")

    def __contains__(self, other: object) -> bool:
        raise RuntimeError("no idea")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class LyingNumber(int):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __ge__(self, other: object) -> bool:
        raise RuntimeError("no order")


class LyingDict(dict[str, object]):
    def items(self) -> Any:
        raise RuntimeError("no items")


class LyingList(list[object]):
    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("no items")

    def __len__(self) -> int:
        raise RuntimeError("no length")


class Odd(Enum):
    ONE = NoText()


def _nested(depth: int, make: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = make(value)
    return value


def _cycles() -> list[Any]:
    ring: list[Any] = []
    around: dict[str, Any] = {"ring": ring}
    ring += [ring, around]
    return ring


HOSTILE: dict[str, Any] = {
    "nan": math.nan,
    "infinities": [math.inf, -math.inf],
    "decimal nan": decimal.Decimal("sNaN"),
    "huge int": 10**5000,
    "int of 65 bits": 2**64,
    "negative int of 400 digits": -(10**400),
    "bytes": [b"\xff\x00", bytearray(b"\r\n"), memoryview(b"abc")],
    "surrogates": {"\ud800": "\udfff\ud800"},
    "controls": "a\r\nb\x1b[31m\x00\x85\u2028\u2029\u202e",
    "cycles": _cycles(),
    "deep list": _nested(5000, lambda value: [value]),
    "deep dict": _nested(5000, lambda value: {"a": value}),
    "keys": {1: 2, None: 3, (1, 2): 4, b"x": 5, 1.5: 6, uuid.UUID(int=1): 7, NoText(): 8},
    "colliding keys": {1: "a", "1": "b", None: "c", "None": "d"},
    "no text": NoText(),
    "no class": NoClass(),
    "no attributes": NoAttributes(),
    "no string": NoString(),
    "lying text": LyingText("abc"),
    "lying number": LyingNumber(10**13),
    "lying dict": LyingDict(a=1),
    "lying list": LyingList([1]),
    "enum": Odd.ONE,
    "exception": type("NoMessage", (Exception,), {"__str__": NoText.__str__})("x"),
    "generator": (number for number in range(3)),
    "lock": threading.Lock(),
    "thread": threading.current_thread(),
    "containers": [collections.deque([1]), {1, "a"}, types.MappingProxyType({"a": NoText()}), range(3)],
    "classes": [NoText, print, json, ..., 1j],
    "many keys": {str(number): number for number in range(30_000)},
    "long key": {"k" * 300_000: 1},
    "long list": list(range(100_000)),
    "long text": "a" * 1_000_000,
}


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), f"a key stands twice: {[name for name, _ in pairs]}"
    return found


def checked(line: bytes) -> dict[str, Any]:
    """The entry of a line, which is strict JSON with all that an entry has."""
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    assert len(line) <= LINE_BYTES
    entry: dict[str, Any] = json.loads(
        line.decode(), object_pairs_hook=_no_twins, parse_constant=lambda token: pytest.fail(f"{token} is not JSON")
    )
    assert isinstance(entry["message"], str)
    assert entry["severity"] in SEVERITIES
    assert entry["logging.googleapis.com/labels"]["service"] == "items"
    return entry


@contextmanager
def alone() -> Iterator[Observed]:
    """Without pytest's own handlers, which raise for such records."""
    gc.collect()  # not while a deep value is told: finalizers fail without room on the stack
    with observed() as service:
        root = logging.getLogger()
        root.handlers = [handler for handler in root.handlers if isinstance(handler, StdoutHandler)]
        yield service


@pytest.fixture(scope="module")
def calls() -> dict[str, Callable[[Any], object]]:
    structured, standard = get_logger("structured"), logging.getLogger("standard")

    def said(value: Any) -> None:
        structured.info(value)  # looked up at the call: logging is configured by then

    def raised(value: Any) -> None:
        try:
            raise ValueError(value)  # noqa: TRY301  # an exception with such a text
        except ValueError:
            structured.exception("m")

    return {
        "a field": lambda value: structured.info("m", value=value),
        "the message": said,
        "an argument": lambda value: structured.info("m %s", value),
        "a bound field": lambda value: structured.bind(value=value).info("m"),
        "deep within": lambda value: structured.info("m", a={"b": [value, (value,)]}),
        "an extra": lambda value: standard.info("m", extra={"value": value}),
        "the message of a standard logger": standard.info,
        "an argument of a standard logger": lambda value: standard.info("m %s %s", value, value),
        "the text of an exception": raised,
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_is_one_line_wherever_it_stands(name, calls):
    with alone() as service:
        for place, call in calls.items():
            service.lines.clear()
            call(HOSTILE[name])
            assert len(service.lines) == 1, place
            assert checked(service.lines[0])["severity"] == ("ERROR" if "exception" in place else "INFO"), place


_TEXTS = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=30)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**30)
    | st.floats()
    | st.binary(max_size=20)
    | st.decimals()
    | st.complex_numbers()
    | st.uuids()
    | st.datetimes()
    | st.timedeltas()
    | _TEXTS
    # By name: Hypothesis shows what it samples from.
    | st.sampled_from(["no text", "no string", "lying text", "lying number", "lying dict", "enum"]).map(
        lambda name: HOSTILE[name]
    )
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(_TEXTS | st.integers() | st.none() | st.booleans() | st.floats(), inner, max_size=4)
    ),
    max_leaves=20,
)
_NAMES = _TEXTS | st.sampled_from(
    [
        *(
            "event",
            "self",
            "_record",
            "_frame",
            "_name",
            "_place",
            "severity",
            "message",
            "time",
            "timestamp",
            "logger",
        ),
        *("serviceContext", "stack_trace", "exception", "stack_info", "httpRequest", "@type", "level", "name", "args"),
        *("logging.googleapis.com/labels", "logging.googleapis.com/trace", "logging.googleapis.com/insertId"),
        *("request_id", "truncated", "method_name", "event_", "lost_fields", "user_id", "route", "[cut]"),
    ]
)
_TAKEN_BY_LOGGING = {*vars(logging.makeLogRecord({})), "message", "asctime"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=st.dictionaries(_NAMES, _VALUES, max_size=5), event=_VALUES)
def _fuzz(service: Observed, fields: dict[str, Any], event: Any) -> None:
    service.lines.clear()
    get_logger("structured").warning(event, **fields)
    checked_entry = checked(service.lines[0])
    assert (checked_entry["severity"], checked_entry["logger"]) == ("WARNING", "structured")
    extra = {name: value for name, value in fields.items() if name not in _TAKEN_BY_LOGGING}
    logging.getLogger("standard").warning("%s", (event,), extra=extra)
    checked_entry = checked(service.lines[1])
    assert (checked_entry["severity"], checked_entry["logger"]) == ("WARNING", "standard")
    assert len(service.lines) == 2


def test_no_fields_whatever_their_names_and_values_break_a_line():
    with alone() as service:
        _fuzz(service)


def test_a_field_that_would_hide_what_the_entry_says_gets_another_name():
    with observed() as service:
        get_logger("a").info("said", severity="low", message="other", time="noon", event="party", serviceContext=1)
        logging.getLogger("b").info("said", extra={"severity": "low", "timestamp": 5, "event": "party"})
        structured, standard = service.entries
    assert (structured["message"], structured["severity"]) == ("said", "INFO")
    assert [structured[name] for name in ("severity_", "message_", "time_", "event_", "serviceContext_")] == [
        *("low", "other", "noon", "party", 1)
    ]
    assert (standard["message"], standard["severity_"], standard["timestamp_"], standard["event_"]) == (
        *("said", "low", 5, "party"),
    )


def test_two_keys_of_one_text_both_stay():
    with observed() as service:
        get_logger().info("m", value={1: "a", "1": "b"}, people={"ada@example.com": 1, "bob@example.com": 2})
        [entry] = service.entries
    assert sorted(entry["value"].values()) == ["a", "b"]
    assert sorted(entry["people"].values()) == [1, 2]
    assert "example.com" not in service.lines[0].decode()


def test_a_long_field_before_them_cuts_neither_message_nor_severity():
    with observed() as service:
        get_logger("shop").error("what happened", ids=list(range(50_000)), after="it")
        [entry] = service.entries
    assert (entry["message"], entry["severity"], entry["logger"], entry["after"]) == (
        *("what happened", "ERROR", "shop", "it"),
    )


def test_one_odd_value_leaves_the_rest_of_the_entry_in_its_form():
    with observed() as service:
        get_logger().info("m", big=2**70, broken="\ud800", nested={"a": [1, None, True]})
        [entry] = service.entries
    assert entry["nested"] == {"a": [1, None, True]}
    assert (entry["big"], entry["broken"]) == (str(2**70), "\\ud800")
    assert isinstance(entry["logging.googleapis.com/sourceLocation"], dict)


def test_a_text_of_megabytes_tells_its_original_size():
    with observed() as service:
        get_logger().info("m", text="word " * 1_000_000)
        [entry] = service.entries
    assert entry["truncated"]["original_bytes"] >= 5_000_000
    assert entry["truncated"]["fields"] == ["text"]


@pytest.mark.parametrize("message", ["%d apples", "%s %s", "100 %", "%(a)s", "plain"])
def test_wrong_arguments_fail_no_caller_and_lose_no_word(message):
    with observed() as service:
        get_logger().info(message, "many", "of", "them")
        [entry] = service.entries
    assert message in entry["message"]
    assert "many" in entry["message"]


def test_a_field_that_cannot_be_told_costs_the_fields_and_not_the_line(internal_failures):
    class Odd:
        def __bool__(self) -> bool:
            raise RuntimeError("neither")

    with observed() as service:
        get_logger("shop").error("said", exc_info=Odd(), other=1)
        [entry] = service.entries
    assert (entry["message"], entry["severity"], entry["lost_fields"]) == ("said", "ERROR", "RuntimeError")
    assert [where for where, _ in internal_failures] == ["logging"]
    internal_failures.clear()


@pytest.mark.parametrize(("level", "severity"), [(20, "INFO"), (25, "NOTICE"), (35, "WARNING"), (10, None)])
def test_a_call_by_number_has_its_severity_and_asks_the_threshold(level, severity):
    with observed() as service:
        get_logger().log(level, "m %d", 1)
        assert [(entry["severity"], entry["message"]) for entry in service.entries] == (
            [(severity, "m 1")] if severity else []
        )


def test_a_custom_level_named_as_a_severity_of_cloud_logging_is_that_severity(monkeypatch):
    monkeypatch.setattr(logging, "_levelToName", {**logging._levelToName, 60: "ALERT", 61: "MINE"})
    with observed() as service:
        logging.getLogger("a").log(60, "wake up")
        logging.getLogger("a").log(61, "as critical")
        assert [entry["severity"] for entry in service.entries] == ["ALERT", "CRITICAL"]


def test_awaited_calls_are_as_the_others():
    async def play() -> None:
        log = get_logger("shop")
        await log.adebug("below the threshold")
        await log.ainfo("one %d", 1, a=1)
        try:
            int("x")
        except ValueError:
            await log.aexception("two")
        await log.alog(30, "three")

    with observed() as service:
        asyncio.run(play())
        entries = service.entries
    assert [(entry["severity"], entry["message"]) for entry in entries] == [
        *(("INFO", "one 1"), ("ERROR", "two"), ("WARNING", "three"))
    ]
    assert "ValueError" in entries[1]["stack_trace"]
    assert {entry["logging.googleapis.com/sourceLocation"]["function"] for entry in entries} == {"play"}


def test_a_wanted_stack_is_in_the_entry():
    with observed() as service:
        get_logger().info("m", stack_info=True)
        logging.getLogger("a").info("m", stack_info=True)
        for entry in service.entries:
            assert test_a_wanted_stack_is_in_the_entry.__name__ in entry["stack_info"]
