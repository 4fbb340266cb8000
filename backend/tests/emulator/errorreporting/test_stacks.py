"""Stack traces in texts, and which errors are one."""

import time
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulator.errorreporting.grouping import group_id
from app.emulator.errorreporting.stacks import Frame, Stack, find_stack
from support.provenance import known_from, our_choice

FORMATS = "google/devtools/clouderrorreporting/v1beta1/report_errors_service.proto"
GROUPING = "https://docs.cloud.google.com/error-reporting/docs/grouping-errors"


def raised(function) -> str:
    try:
        function()
    except BaseException:  # noqa: BLE001  # every kind of exception is formatted here
        return traceback.format_exc()
    raise AssertionError("nothing was raised")


def inner(value: str) -> None:
    raise ValueError(f"no {value}")


def chained() -> None:
    try:
        inner("luck")
    except ValueError as error:
        raise RuntimeError("outer") from error


def recursive(depth: int) -> None:
    if depth:
        recursive(depth - 1)
    inner("end")


def of(text: str) -> str:
    return group_id(text, find_stack(text), "")


@known_from(proto=FORMATS)
def test_a_python_traceback_has_its_type_and_frames_innermost_first():
    stack = find_stack(raised(lambda: inner("x")))
    assert stack is not None
    assert stack.kind == "ValueError"
    assert stack.frames[0] == Frame(__file__, "inner")
    assert stack.frames[-1] == Frame(__file__, "raised")


@known_from(docs=GROUPING)
def test_of_chained_exceptions_the_innermost_one_counts():
    assert find_stack(raised(chained)) == Stack("ValueError", (Frame(__file__, "inner"), Frame(__file__, "chained")))


@known_from(docs=GROUPING)
def test_the_same_error_with_other_values_and_other_lines_is_one_group():
    first, second = raised(lambda: inner("a")), raised(lambda: inner("b"))
    moved = second.replace(", line ", ", line 9")
    assert of(first) == of(second) == of(moved)
    assert of(first) != of(first.replace("ValueError", "KeyError"))
    assert of(first) != of(first.replace(", in inner", ", in other"))


@known_from(docs=GROUPING)
def test_only_the_five_top_most_frames_and_one_round_of_a_recursion_count():
    assert of(raised(lambda: recursive(3))) == of(raised(lambda: recursive(60)))
    frames = [f'  File "/app/a.py", line {n}, in f{n}\n    call()\n' for n in range(9)]
    texts = ["Traceback (most recent call last):\n" + "".join(part) + "KeyError: 1" for part in (frames, frames[3:])]
    assert of(texts[0]) == of(texts[1])
    assert of(texts[0]) != of("Traceback (most recent call last):\n" + "".join(frames[5:]) + "KeyError: 1")


@known_from(docs=GROUPING)
def test_frames_of_libraries_are_left_out():
    head, tail = 'Traceback (most recent call last):\n  File "/app/a.py", line 1, in f\n', "KeyError: 1"
    library = '  File "/venv/lib/python3.12/site-packages/x/y.py", line {}, in g\n'
    assert of(head + tail) == of(head + library.format(1) + tail)


@known_from(docs=GROUPING)
def test_a_message_without_a_stack_groups_by_its_first_three_literal_tokens_and_its_function():
    def group(text: str, function: str = "") -> str:
        return group_id(text, None, function)

    assert group("payment 17 failed for ann") == group("payment 18 failed for bob")
    assert group("payment failed twice") != group("payment failed for ann")
    assert group("payment failed", "charge") != group("payment failed", "refund")


JAVA = """java.lang.IllegalStateException: wrapped
\tat com.example.Shop.buy(Shop.java:12)
Caused by: java.lang.NullPointerException: Cannot invoke
\tat com.example.Cart.total(Cart.java:7)
\tat com.example.Shop.buy(Shop.java:10)"""
JAVASCRIPT = """TypeError: x is not a function
    at total (/app/cart.js:7:13)
    at /app/index.js:3:1"""
GO = """panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.total(0xc000012, 0x5)
\t/app/main.go:7 +0x1d
main.main()
\t/app/main.go:3 +0x2a"""
RUBY = """/app/cart.rb:7:in `total': divided by 0 (ZeroDivisionError)
\tfrom /app/cart.rb:3:in `buy'"""
PHP = """PHP Fatal error:  Uncaught Exception: no in /app/cart.php:7
Stack trace:
#0 /app/index.php(3): total(1)
#1 {main}"""
CSHARP = """System.DivideByZeroException: Attempted to divide by zero.
   at Shop.Cart.Total(Int32 n) in /app/Cart.cs:line 7
   at Shop.Program.Main()"""


@known_from(proto=FORMATS)
@pytest.mark.parametrize(
    ("text", "kind", "function"),
    [
        (JAVA, "java.lang.NullPointerException", "com.example.Cart.total"),
        (JAVASCRIPT, "TypeError", "total"),
        (GO, "runtime error: index out of range # with length #", "main.total"),
        (RUBY, "ZeroDivisionError", "total"),
        (PHP, "Exception", "total"),
        (CSHARP, "System.DivideByZeroException", ""),
    ],
)
def test_the_other_languages_are_read(text, kind, function):
    stack = find_stack(text)
    assert stack is not None
    assert stack.kind == kind
    assert stack.frames
    if function:
        assert stack.frames[0].function == function


@our_choice("what is no complete trace is no stack")
@pytest.mark.parametrize(
    "text",
    ["", "plain words", "Traceback (most recent call last):", "ValueError: x", "at home (with a friend)", "a: b\n  at"],
)
def test_plain_texts_have_no_stack(text):
    assert find_stack(text) is None


@given(st.text('Traceback (most recent call last):\n  File "a", line 1, in f#0|+\'`$panic:goroutine'))
def test_no_text_breaks_the_reader(text):
    of("Traceback (most recent call last):\n" + text)
    of(text)


@our_choice("an entry has at most 256 KiB, and its reading must not keep other calls waiting")
@pytest.mark.parametrize(
    "piece", ["a", "a.", " at ", "a: ", "\n", '  File "', "(((", "#0 a(1): ", "\tfrom a:1:in `b'\n"]
)
def test_a_hostile_text_is_read_within_half_a_second(piece):
    text = (piece * 260_000)[:260_000]
    began = time.perf_counter()
    for each in (text, "Traceback (most recent call last):\n" + text, "X: y\n at a\n" + text):
        of(each)
    assert time.perf_counter() - began < 1.5
