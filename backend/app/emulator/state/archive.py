"""The state of an emulator as one file: every record of its journal, in order.

A line that names the format, then gzip: per record the lengths of kind and body, its time, kind, body; at the end an
empty kind with the number of records and the SHA-256 of all before it. No paths are in it, so that none can lead
anywhere; what is cut short or changed is told before anything of it is used.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator

from ..journal import SCHEMA, Record

_MAGIC = f"cloudops-state {SCHEMA}\n".encode()
_HEAD = struct.Struct("<HIq")
_END = struct.Struct("<Q32s")
MOST_BYTES = 8 * 2**30
_LONGEST_KIND = 200
# More than any request may have, which is what a record holds.
_LONGEST_BODY = 64 * 2**20


class StateError(ValueError):
    """A file that holds no state, or not all of it; the message says why."""


def packed(records: Iterable[Record]) -> Iterator[bytes]:
    """The pieces of a state file."""
    squeeze = zlib.compressobj(level=1, wbits=31)
    digest = hashlib.sha256()
    count = 0
    yield _MAGIC
    for record in records:
        kind = record.kind.encode()
        piece = _HEAD.pack(len(kind), len(record.body), record.until) + kind + record.body
        digest.update(piece)
        count += 1
        yield squeeze.compress(piece)
    end = _END.pack(count, digest.digest())
    yield squeeze.compress(_HEAD.pack(0, len(end), 0) + end)
    yield squeeze.flush()


def unpacked(pieces: Iterable[bytes]) -> Iterator[Record]:
    """The records of a state file; only after the last one it is known that all are there and as they were.

    Raises:
        StateError: It is no state file, of another version, cut short, or changed.
    """
    stream = _Plain(pieces)
    digest = hashlib.sha256()
    count = 0
    while True:
        head = stream.take(_HEAD.size)
        kind_size, body_size, until = _HEAD.unpack(head)
        if kind_size > _LONGEST_KIND or body_size > _LONGEST_BODY:
            raise StateError("The file is damaged: a record is longer than any can be.")
        kind, body = stream.take(kind_size), stream.take(body_size)
        if not kind:
            if _END.size != body_size or _END.unpack(body) != (count, digest.digest()):
                raise StateError("The file is damaged: its check sum is not that of its records.")
            stream.end()
            return
        digest.update(head + kind + body)
        count += 1
        try:
            yield Record(kind.decode(), body, until)
        except UnicodeDecodeError:
            raise StateError("The file is damaged: a record has no readable kind.") from None


class _Plain:
    """Decompresses as much as is asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._zip = zlib.decompressobj(wbits=31)
        self._waiting = b""
        self._plain = bytearray()
        self._total = 0
        self._read_magic()

    def take(self, size: int) -> bytes:
        while len(self._plain) < size:
            self._more()
        found = bytes(self._plain[:size])
        del self._plain[:size]
        return found

    def end(self) -> None:
        """Nothing may follow but the end of the compressed stream."""
        while not self._zip.eof:
            self._more()
        if self._plain or self._zip.unused_data or self._waiting or next(self._pieces, None):
            raise StateError("The file is damaged: something follows its end.")

    def _read_magic(self) -> None:
        begin = b""
        while len(begin) < len(_MAGIC) and (piece := next(self._pieces, None)) is not None:
            begin += piece
        if not begin.startswith(_MAGIC):
            if begin.startswith(b"cloudops-state "):
                version = begin[15:40].split(b"\n")[0].decode(errors="replace")
                raise StateError(f"The file has state of version {version}, this cloudops reads version {SCHEMA}.")
            raise StateError("The file is no state of an emulator: cloudops state export writes them.")
        self._waiting = begin[len(_MAGIC) :]

    def _more(self) -> None:
        if self._zip.eof:
            raise StateError("The file is cut short.")
        if not self._waiting:
            piece = next(self._pieces, None)
            if piece is None:
                raise StateError("The file is cut short.")
            self._waiting = piece
        try:
            found = self._zip.decompress(self._waiting, 2**20)
        except zlib.error as error:
            raise StateError(f"The file is damaged: {error}.") from None
        self._waiting = self._zip.unconsumed_tail
        self._total += len(found)
        if self._total > MOST_BYTES:
            raise StateError(f"The file holds more than {MOST_BYTES // 2**30} GiB.")
        self._plain += found
