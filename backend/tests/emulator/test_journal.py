import threading
from pathlib import Path

from app.emulator.journal import MemoryJournal, SqliteJournal


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
