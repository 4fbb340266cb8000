"""The form of a segment: records in frames, so that one that is damaged costs no other.

A frame is the segment's marker, its head, and its payload. The marker is random and stands in the file's name: after a
damaged frame reading goes on at the next marker, and nothing that somebody managed to have logged can look like one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import Struct, error
from typing import Final
from zlib import crc32

MARKER_BYTES: Final = 8
# Kind, number, length of the payload; then the checksum of these and the payload.
_HEAD: Final = Struct("<BII")
_CHECKSUM: Final = Struct("<I")
_NUMBER: Final = Struct("<I")
#: What a frame takes beside its payload.
FRAME_BYTES: Final = MARKER_BYTES + _HEAD.size + _CHECKSUM.size
#: What it takes at most to say that a record is done.
DONE_BYTES: Final = FRAME_BYTES + _NUMBER.size

_ORIGIN: Final = 0
_RECORD: Final = 1
_DONE: Final = 2


def _frame(marker: bytes, kind: int, number: int, payload: bytes) -> bytes:
    body = _HEAD.pack(kind, number, len(payload))
    return marker + body + _CHECKSUM.pack(crc32(payload, crc32(body))) + payload


def origin(marker: bytes, payload: bytes) -> bytes:
    """The first frame: what holds for all records."""
    return _frame(marker, _ORIGIN, 0, payload)


def record(marker: bytes, number: int, payload: bytes) -> bytes:
    """A record. Numbers follow each other from 0, so that a reader sees which are missing."""
    return _frame(marker, _RECORD, number, payload)


def done(marker: bytes, numbers: Iterable[int]) -> bytes:
    """These records are delivered, or given up."""
    return _frame(marker, _DONE, 0, b"".join(map(_NUMBER.pack, numbers)))


@dataclass(slots=True)
class Content:
    """What a segment holds: its origin (None: damaged), records to be delivered by number, and how many are lost."""

    origin: bytes | None = None
    records: dict[int, bytes] = field(default_factory=dict)
    #: At least so many: what was cut off at the end says nothing of itself.
    lost: int = 0


def read(data: bytes, marker: bytes) -> Content:
    """Everything in a segment that is intact, whatever else is in it. Never raises."""
    content = Content()
    finished: set[int] = set()
    at = end = 0
    while (at := data.find(marker, at)) >= 0:
        found = _read_frame(data, at + MARKER_BYTES)
        if found is None:
            at += 1
            continue
        kind, number, payload = found
        at = end = at + FRAME_BYTES + len(payload)
        if kind == _ORIGIN:
            content.origin = payload
        elif kind == _RECORD:
            content.records[number] = payload
        elif kind == _DONE:
            finished.update(one for (one,) in _NUMBER.iter_unpack(payload[: len(payload) // 4 * 4]))
    known = content.records.keys() | finished
    content.lost = max(known, default=-1) + 1 - len(known) + (end < len(data))
    for number in finished:
        content.records.pop(number, None)
    return content


def _read_frame(data: bytes, at: int) -> tuple[int, int, bytes] | None:
    """Kind, number and payload of an intact frame."""
    try:
        kind, number, length = _HEAD.unpack_from(data, at)
        (checksum,) = _CHECKSUM.unpack_from(data, at + _HEAD.size)
    except error:  # cut off
        return None
    start = at + _HEAD.size + _CHECKSUM.size
    payload = data[start : start + length]
    if len(payload) != length or crc32(payload, crc32(data[at : at + _HEAD.size])) != checksum:
        return None
    return kind, number, payload
