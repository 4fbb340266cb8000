"""What waits for the back end, on disk too, so that it survives the process (`SPOOL_DIRECTORY`)."""

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from .writer import Spool


class SpoolOptions(NamedTuple):
    """Where, and how many bytes at most for all processes and signals."""

    path: str
    limit: int

    def of(self, signal: str, destination: list[str | bool], origin: bytes = b"") -> "Spool":
        """The spool of one signal. What waits for one destination is never sent to another.

        Args:
            signal: `logs` or `traces`.
            destination: What tells one destination from another.
            origin: See `Spool`.
        """
        from .writer import Spool  # noqa: PLC0415  # POSIX alone, and only for those who ask for it

        told = hashlib.sha256(orjson.dumps(destination)).hexdigest()[:8]
        return Spool(self.path, self.limit, f"{signal}-{told}", origin)
