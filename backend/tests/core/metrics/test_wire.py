import pytest
from google.protobuf import struct_pb2, timestamp_pb2
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from app.core.metrics import wire


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_an_integer_is_read_back(number):
    assert list(wire.fields(wire.number(3, number))) == [(3, number)]


@given(st.integers(min_value=0, max_value=4_000_000_000 * 10**9))
def test_a_timestamp_is_googles(nanoseconds):
    assert timestamp_pb2.Timestamp.FromString(wire.timestamp(nanoseconds)).ToNanoseconds() == nanoseconds


def test_text_that_is_no_unicode_does_not_spoil_a_request():
    body = wire.text(3, "a\ud800b")
    assert struct_pb2.Value.FromString(body).string_value == "a?b"


@given(code=st.integers(0, 16), text=st.text(max_size=50))
def test_a_message_of_googles_is_read(code, text):
    body = status_pb2.Status(code=code, message=text).SerializeToString()
    expected = [field for field in ((1, code), (2, text.encode())) if field[1]]
    assert list(wire.fields(body)) == expected


@given(st.binary(max_size=200))
def test_what_is_no_message_is_refused_and_never_read_beyond_its_end(body):
    try:
        found = list(wire.fields(body))
    except ValueError:
        return
    assert sum(len(value) for _, value in found if isinstance(value, bytes)) <= len(body)


@pytest.mark.parametrize("body", [b"\x0a\x05ab", b"\x08\xff", b"\x0b", b"\x08" + b"\xff" * 11, b"\x09abc"])
def test_a_message_that_is_cut_short_is_refused(body):
    with pytest.raises(ValueError, match=r"cut short|without an end|wire type"):
        list(wire.fields(body))
    with pytest.raises(DecodeError):
        status_pb2.Status.FromString(body)
