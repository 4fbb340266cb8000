"""Protocol buffers as bytes, by hand: what a message object costs is most of the price of an export.

developers.google.com/protocol-buffers/docs/encoding; tests parse what comes out with Google's own classes.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final

DOUBLE: Final = Struct("<d").pack
FIXED64: Final = Struct("<Q").pack
_NANOS: Final = 1_000_000_000
_MAX_VARINT_BYTES: Final = 10


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004  # the wire format's seven bits
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


#: Lengths of series and counts of buckets are mostly this small.
SMALL: Final = tuple(_varint(number) for number in range(4096))


def varint(number: int) -> bytes:
    """A non-negative integer, seven bits a byte, least first."""
    return SMALL[number] if number < len(SMALL) else _varint(number)


def _tag(field: int, wire_type: int) -> bytes:
    return varint(field << 3 | wire_type)


def message(field: int, body: bytes) -> bytes:
    """A length-delimited field: a message, a string or packed numbers."""
    return _tag(field, 2) + varint(len(body)) + body


def text(field: int, value: str) -> bytes:
    # A lone surrogate cannot be told in UTF-8, and one bad label must not cost the others their call.
    return message(field, value.encode(errors="replace"))


def number(field: int, value: int) -> bytes:
    return _tag(field, 0) + varint(value)


def double(field: int, value: float) -> bytes:
    return _tag(field, 1) + DOUBLE(value)


def fixed64(field: int, value: int) -> bytes:
    return _tag(field, 1) + FIXED64(value)


def timestamp(nanoseconds: int) -> bytes:
    """The body of a google.protobuf.Timestamp."""
    seconds, nanos = divmod(nanoseconds, _NANOS)
    return number(1, seconds) + (number(2, nanos) if nanos else b"")


def fields(body: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a message: integers, eight or four bytes, or what a length was given for.

    Raises:
        ValueError: This is no message.
    """
    at = 0
    while at < len(body):
        key, at = _read_varint(body, at)
        kind = key & 7
        if kind == 0:
            value, at = _read_varint(body, at)
            yield key >> 3, value
            continue
        if kind == 2:  # noqa: PLR2004  # a length and so many bytes
            length, at = _read_varint(body, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if at + length > len(body):
            raise ValueError("cut short")
        yield key >> 3, body[at : at + length]
        at += length


_FIXED: Final = {1: 8, 5: 4}


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    result = 0
    for count, byte in enumerate(body[at : at + _MAX_VARINT_BYTES]):
        result |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:  # noqa: PLR2004  # the last byte has no continuation bit
            return result, at + count + 1
    raise ValueError("an integer without an end")
