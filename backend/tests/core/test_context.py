import pytest

from app.core.context import (
    ReservedFieldError,
    acceptable_request_id,
    bind,
    read_cloud_trace_context,
    read_traceparent,
)
from support.provenance import known_from

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@known_from(docs="https://www.w3.org/TR/trace-context/#traceparent-header")
@pytest.mark.parametrize(
    ("header", "read"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-00", (TRACE, SPAN, False)),
        (f"00-{TRACE}-{SPAN}-03", (TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", (TRACE, SPAN, True)),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"00-{TRACE}-{SPAN}-01\n", None),
        ("", None),
        ("00-" + "a" * 100_000, None),
    ],
)
def test_traceparent_is_read_strictly(header, read):
    assert read_traceparent(header.encode()) == read


@known_from(docs="https://cloud.google.com/trace/docs/trace-context#legacy-http-header")
@pytest.mark.parametrize(
    ("header", "read"),
    [
        (f"{TRACE}/67667974448284343;o=1", (TRACE, "00f067aa0ba902b7", True)),
        (f"{TRACE.upper()}/1;o=0", (TRACE, "0000000000000001", False)),
        (TRACE, (TRACE, "", False)),
        (f"{TRACE};o=1", (TRACE, "", True)),
        (f"{TRACE}/99999999999999999999", (TRACE, "", False)),
        (f"{'0' * 32}/1;o=1", None),
        ("nonsense", None),
    ],
)
def test_the_older_trace_header_is_read_with_its_decimal_span(header, read):
    assert read_cloud_trace_context(header.encode()) == read


@pytest.mark.parametrize("value", [b"a", b"A.b_c-9", b"x" * 128])
def test_a_plain_request_id_is_accepted(value):
    assert acceptable_request_id(value) == value.decode()


@pytest.mark.parametrize("value", [None, b"", b"x" * 129, b"a b", b"a\r\nb", b"\x1b[31m", "é".encode(), b'{"a":1}'])
def test_any_other_request_id_is_refused(value):
    assert acceptable_request_id(value) is None


def test_a_reserved_field_cannot_be_bound():
    with pytest.raises(ReservedFieldError, match="app_severity"):
        bind(severity="LOUD")


def test_binding_outside_of_a_request_does_nothing():
    with bind(user="ada"):
        pass
