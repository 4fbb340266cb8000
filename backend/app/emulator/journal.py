"""What survives a `kill -9`: every accepted write, as one record, before it is acknowledged."""

import contextlib
import errno
import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

# "clop", so that a file of another program is told from ours (sqlite.org/pragma.html#pragma_application_id).
_APPLICATION = 0x636C6F70
# 2: points and series as columns, and until when a record reaches.
SCHEMA = 2
_PAGES_GIVEN_BACK = 20_000
_ROWS_AT_ONCE = 256
_NOT_A_DATABASE = 26  # sqlite.org/rescode.html#notadb


class Record(NamedTuple):
    kind: str
    body: bytes
    until: int = 0


class Journal(Protocol):
    def append(self, kind: str, record: bytes, until: int = 0) -> None:
        """Keep a record; when this returns, the record survives the death of the process.

        `until` is the time (ns) of the newest data in it, for `forget`; 0: it is never forgotten.
        """

    def forget(self, kind: str, before: int) -> int:
        """Drop the records of a kind that reach to no later than `before`; how many there were."""

    def records(self) -> Iterator[Record]:
        """Every record, oldest first."""

    def size(self) -> int:
        """Bytes that the records take."""


class JournalError(OSError):
    """The journal cannot be used; the message names the next step."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EIO, message)

    def __str__(self) -> str:
        return str(self.strerror)


class DataDirTaken(OSError):  # noqa: N818  # the name says what happened; callers print the message
    """Another emulator writes to the data directory."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            errno.EBUSY,
            f"Another emulator uses the data directory {data_dir}. End it, or choose another one with --data-dir DIR",
        )


def open_data_dir(data_dir: Path, closing: contextlib.ExitStack) -> "SqliteJournal":
    """The journal of a data directory, which nobody else uses until `closing` closes.

    Raises:
        DataDirTaken: Another process has it.
        JournalError: Its file cannot be used.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        lock = closing.enter_context((data_dir / "lock").open("w"))
        # The system lets go of it when the process dies, however it dies.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        journal = SqliteJournal(data_dir / "journal.sqlite")
    except BlockingIOError as error:
        closing.close()
        raise DataDirTaken(data_dir) from error
    except BaseException:
        closing.close()
        raise
    closing.callback(journal.close)
    return journal


class MemoryJournal:
    """Keeps nothing."""

    def append(self, kind: str, record: bytes, until: int = 0) -> None:
        del kind, record, until

    def forget(self, kind: str, before: int) -> int:
        del kind, before
        return 0

    def records(self) -> Iterator[Record]:
        return iter(())

    def size(self) -> int:
        return 0


class VolatileJournal:
    """Keeps records as long as the process lives: what `cloudops state export` takes from an emulator in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, list[tuple[int, Record]]] = {}
        self._number = 0
        self._bytes = 0

    def append(self, kind: str, record: bytes, until: int = 0) -> None:
        with self._lock:
            self._number += 1
            self._bytes += len(record)
            self._records.setdefault(kind, []).append((self._number, Record(kind, record, until)))

    def forget(self, kind: str, before: int) -> int:
        with self._lock:
            known = self._records.get(kind, [])
            kept = [(number, record) for number, record in known if not 0 < record.until <= before]
            self._records[kind] = kept
            self._bytes = sum(len(record.body) for same in self._records.values() for _, record in same)
            return len(known) - len(kept)

    def records(self) -> Iterator[Record]:
        with self._lock:
            found = sorted(pair for same in self._records.values() for pair in same)
        return (record for _, record in found)

    def size(self) -> int:
        return self._bytes


class SqliteJournal:
    """Records in the order of their arrival, in one SQLite file.

    Raises:
        JournalError: The file is damaged, foreign, or of another version.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._open()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise self._damaged(error) from error

    def append(self, kind: str, record: bytes, until: int = 0) -> None:
        with self._lock:
            self._connection.execute("INSERT INTO record (kind, body, until) VALUES (?, ?, ?)", (kind, record, until))

    def forget(self, kind: str, before: int) -> int:
        with self._lock:
            gone = self._connection.execute(
                "DELETE FROM record WHERE kind = ? AND until > 0 AND until <= ?", (kind, before)
            ).rowcount
            if gone:
                # A script: execute() would stop after the first page, which is a row without columns.
                self._connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_GIVEN_BACK})")
            return gone

    def replay(self) -> Iterator[tuple[str, bytes]]:
        """Every record, oldest first."""
        return ((record.kind, record.body) for record in self.records())

    def records(self) -> Iterator[Record]:
        """Every record with its time, oldest first.

        Raises:
            JournalError: The file is damaged.
        """
        after = 0
        while True:
            with self._lock:
                try:
                    rows = self._connection.execute(
                        "SELECT id, kind, body, until FROM record WHERE id > ? ORDER BY id LIMIT ?",
                        (after, _ROWS_AT_ONCE),
                    ).fetchall()
                except sqlite3.DatabaseError as error:
                    raise self._damaged(error) from error
            if not rows:
                return
            for row in rows:
                yield Record(*row[1:])
            after = rows[-1][0]

    def size(self) -> int:
        """Bytes on the disk."""
        return sum(path.stat().st_size for path in self.path.parent.glob(f"{self.path.name}*"))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _open(self) -> None:
        version, application = self._pragma("user_version"), self._pragma("application_id")
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and (version != SCHEMA or application != _APPLICATION):
            self._connection.close()
            raise JournalError(self._foreign(version, application))
        if not tables:
            # Before the first table: what is forgotten later gives its room back to the disk.
            self._connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        # WAL + NORMAL: a commit survives the death of the process; only a power cut may take the newest ones.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        if tables:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
            " body BLOB NOT NULL, until INTEGER NOT NULL)"
        )
        self._connection.execute("CREATE INDEX IF NOT EXISTS record_until ON record (kind, until) WHERE until > 0")
        self._connection.execute(f"PRAGMA application_id={_APPLICATION}")
        self._connection.execute(f"PRAGMA user_version={SCHEMA}")
        self._connection.execute("COMMIT")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _foreign(self, version: int, application: int) -> str:
        if application not in {0, _APPLICATION}:
            return f"{self.path} is a database of another program. Choose another --data-dir."
        age = "an older" if version < SCHEMA else "a newer"
        return (
            f"{self.path} was written by {age} cloudops (schema {version}, this one reads {SCHEMA}). Export it with"
            " that version (cloudops state export) and import it here, or move it away to start empty."
        )

    def _damaged(self, error: sqlite3.DatabaseError) -> JournalError:
        if getattr(error, "sqlite_errorcode", _NOT_A_DATABASE) & 0xFF in {
            5,
            6,
            8,
            13,
            14,
        }:  # busy, locked, read-only, full
            return JournalError(f"{self.path} cannot be used: {error}. Look at its rights and at the room on the disk.")
        return JournalError(
            f"{self.path} is damaged: {error}. Move it away to start empty; what is readable of it comes out with:"
            f" sqlite3 {self.path} .recover | sqlite3 recovered.sqlite"
        )
