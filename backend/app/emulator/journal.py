"""What survives a `kill -9`: every accepted write, as one record, before it is acknowledged."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class Journal(Protocol):
    def append(self, kind: str, record: bytes) -> None:
        """Keep a record; when this returns, the record survives the death of the process."""


class MemoryJournal:
    """Keeps nothing: without a data directory the emulator forgets everything when it ends."""

    def append(self, kind: str, record: bytes) -> None:
        del kind, record


class SqliteJournal:
    """Records in the order of their arrival, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # WAL + NORMAL: a commit survives the death of the process; only a power cut may take the newest ones.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL)"
        )

    def append(self, kind: str, record: bytes) -> None:
        with self._lock:
            self._connection.execute("INSERT INTO record (kind, body) VALUES (?, ?)", (kind, record))

    def replay(self) -> Iterator[tuple[str, bytes]]:
        with self._lock:
            yield from self._connection.execute("SELECT kind, body FROM record ORDER BY id")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
