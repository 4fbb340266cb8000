import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.emulator.journal import DataDirTaken, JournalError, MemoryJournal, SqliteJournal, open_data_dir
from support.provenance import our_choice


def test_records_come_back_in_the_order_of_their_arrival(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "journal.sqlite"
    journal = SqliteJournal(path)
    journal.append("monitoring.points", b"\x00\xff")
    journal.append("logging.entries", b"")
    journal.append("monitoring.points", b"2")
    journal.close()
    again = SqliteJournal(path)
    assert list(again.replay()) == [
        ("monitoring.points", b"\x00\xff"),
        ("logging.entries", b""),
        ("monitoring.points", b"2"),
    ]
    again.append("logging.entries", b"3")
    assert list(again.replay())[-1] == ("logging.entries", b"3")
    again.close()


def test_a_record_is_there_for_another_connection_once_append_returns(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    journal.append("a", b"1")
    other = SqliteJournal(tmp_path / "journal.sqlite")
    assert list(other.replay()) == [("a", b"1")]
    other.close()
    journal.close()


def test_threads_append_one_after_another(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")

    def append() -> None:
        for _ in range(50):
            journal.append("a", b"x")

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(journal.replay())) == 200
    journal.close()


def test_without_a_data_directory_nothing_is_kept() -> None:
    MemoryJournal().append("a", b"1")


def written(path: Path) -> SqliteJournal:
    journal = SqliteJournal(path)
    for number in range(500):
        journal.append("a.b", bytes([number % 256]) * 1000, number)
    journal.close()
    return journal


@our_choice("a file that cannot be used is told with the next step, and is left as it is")
@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda data: b"this is no database at all, but long enough to be one" * 10, "is damaged"),
        (lambda data: data[: len(data) // 2 // 4096 * 4096], "is damaged"),
        (lambda data: data[:8192] + bytes(len(data) - 8192), "is damaged"),
        (lambda data: data[:60] + (1).to_bytes(4, "big") + data[64:], "was written by an older cloudops .schema 1"),
        (lambda data: data[:60] + (9).to_bytes(4, "big") + data[64:], "was written by a newer cloudops .schema 9"),
        (lambda data: data[:68] + b"abcd" + data[72:], "is a database of another program"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_the_next_step(
    tmp_path: Path, harm: Callable[[bytes], bytes], why: str
) -> None:
    path = tmp_path / "journal.sqlite"
    written(path)
    path.write_bytes(harm(path.read_bytes()))
    before = path.read_bytes()

    def read() -> None:
        with contextlib.closing(SqliteJournal(path)) as journal:
            list(journal.records())

    with pytest.raises(JournalError, match=why) as caught:
        read()
    assert any(step in str(caught.value) for step in ("Move it away", "cloudops state export", "another --data-dir"))
    assert path.read_bytes() == before


@our_choice("what a user asked to keep is never mixed with another's")
def test_a_data_directory_has_one_user_at_a_time(tmp_path: Path) -> None:
    with contextlib.ExitStack() as first:
        open_data_dir(tmp_path, first).append("a.b", b"1")
        with pytest.raises(DataDirTaken, match="End it, or choose another one with --data-dir"):
            open_data_dir(tmp_path, contextlib.ExitStack())
    with contextlib.ExitStack() as second:
        assert list(open_data_dir(tmp_path, second).replay()) == [("a.b", b"1")]


def test_records_without_a_time_are_never_forgotten(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    journal.append("points", b"old", 5)
    journal.append("points", b"new", 6)
    journal.append("points", b"kept")
    journal.append("entries", b"other", 5)
    assert journal.forget("points", 5) == 1
    assert [record.body for record in journal.records()] == [b"new", b"kept", b"other"]
    journal.close()
