import errno
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.core import guard
from app.core.spool.directory import SEGMENT_BYTES, Directory, Segment
from app.core.spool.writer import QUEUE_BYTES, Spool
from support.servers import TESTS
from support.waiting import wait_until

KIND = "logs-0123abcd"
LIMIT = 4 * SEGMENT_BYTES


@pytest.fixture
def told(monkeypatch):
    """What the library says on stderr."""
    messages = []
    monkeypatch.setattr(guard, "warn", lambda message, **fields: messages.append(f"{message} {fields}"))
    return messages


class Reader:
    """A process's end of a spool: what it was given of dead ones."""

    def __init__(self, folder, *, limit=LIMIT, kind=KIND, room=lambda: True):
        self.spool = Spool(str(folder), limit, kind, b"who")
        self.found = []
        self.tickets = []
        self.damaged = 0
        self.spool.attach(self._take, room, self._lost)
        self.spool.start()

    def _take(self, origin, record, ticket):
        self.found.append((origin, record))
        self.tickets.append(ticket)
        return 1

    def _lost(self, count):
        self.damaged += count

    def put(self, payload):
        return self.spool.put(lambda: payload, len(payload))

    def close(self):
        self.spool.close(10)
        assert self.spool._thread is None


def written(ticket):
    wait_until(lambda: ticket.segment is not None, what="the record on disk")


def _segments(folder):
    return sorted(Path(folder).glob("*.spool"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def _leave(folder, payloads, done=()):
    """What a process leaves behind that ends without having delivered all of it."""
    one = Reader(folder)
    tickets = [one.put(payload) for payload in payloads]
    for ticket in tickets:
        written(ticket)
    for number in done:
        one.spool.done(tickets[number])
    one.close()


def test_what_was_not_delivered_comes_back_once_and_then_the_files_go(folder, told):
    _leave(folder, [b"0", b"1", b"2"], done=[1])
    one = Reader(folder)
    wait_until(lambda: len(one.found) == 2)
    assert one.found == [(b"who", b"0"), (b"who", b"2")]
    for ticket in one.tickets:
        one.spool.done(ticket)
    one.close()
    assert _segments(folder) == []
    another = Reader(folder)
    another.close()
    assert another.found == []
    assert told == []


def test_what_comes_back_and_is_not_delivered_either_comes_back_again(folder):
    _leave(folder, [b"0", b"1"])
    one = Reader(folder)
    wait_until(lambda: len(one.found) == 2)
    one.spool.done(one.tickets[0])
    one.close()
    another = Reader(folder)
    wait_until(lambda: another.found == [(b"who", b"1")])
    another.close()


def test_delivered_records_leave_nothing_and_files_do_not_add_up(folder):
    one = Reader(folder)
    for _ in range(40):
        tickets = [one.put(bytes(20_000)) for _ in range(10)]
        for ticket in tickets:
            written(ticket)
            one.spool.done(ticket)
        wait_until(lambda: one.spool.live == 0)
    assert len(_segments(folder)) == 1
    assert _segments(folder)[0].stat().st_size <= SEGMENT_BYTES
    one.close()
    assert _segments(folder) == []


def test_files_and_directory_are_for_us_alone(folder):
    one = Reader(folder)
    written(one.put(b"x"))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in folder.iterdir())
    one.close()


def test_the_bound_holds_for_all_processes_and_what_is_beyond_it_is_told_once(folder, told):
    one, other = Reader(folder), Reader(folder, kind="traces-0123abcd")
    tickets = []
    for reader in (one, other) * 16:
        tickets.append(reader.put(bytes(250_000)))
        wait_until(lambda: one.spool._queued == other.spool._queued == 0, what="the disk")
    wait_until(lambda: one.spool.skipped + other.spool.skipped >= 1, what="the bound")
    assert sum(file.stat().st_size for file in _segments(folder)) <= LIMIT
    assert len(_segments(folder)) == 4
    assert any(ticket is not None and ticket.segment is None for ticket in tickets)
    assert [message for message in told if "is full" in message]
    assert len(told) <= 2  # one each
    one.close()
    other.close()


def test_room_that_comes_back_is_used_again(folder, told):
    one = Reader(folder, limit=SEGMENT_BYTES)
    tickets = [one.put(bytes(400_000)) for _ in range(2)]
    for ticket in tickets:
        written(ticket)
    assert one.put(bytes(400_000)) is not None
    wait_until(lambda: one.spool.skipped == 1)
    for ticket in tickets:
        one.spool.done(ticket)
    wait_until(lambda: written_or_none(one.put(b"again")), 10)
    one.close()


def written_or_none(ticket):
    time.sleep(0.05)
    return ticket is not None and ticket.segment is not None


def test_a_segment_whose_process_lives_is_left_to_it(folder):
    code = (
        "import sys; from core.spool.test_writer import *\n"
        f"one = Reader({str(folder)!r}); written(one.put(b'mine')); print('written', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        one = Reader(folder)
        written(one.put(b"ours"))
        assert one.found == []
        process.kill()
        process.wait()
        one.close()
    another = Reader(folder)
    wait_until(lambda: len(another.found) == 2)
    assert sorted(another.found) == [(b"who", b"mine"), (b"who", b"ours")]
    another.close()


def test_two_spools_of_one_process_do_not_take_each_others_records(folder):
    one, other = Reader(folder), Reader(folder)
    written(one.put(b"x"))
    other.spool._look_again = 0.0
    written(other.put(b"y"))
    assert one.found == other.found == []
    one.close()
    other.close()


def test_a_process_that_runs_already_takes_over_from_one_that_died(folder):
    one = Reader(folder)
    wait_until(lambda: one.spool._look_again > 0, what="its first look")
    _leave(folder, [b"0", b"1"])
    one.spool._look_again = 0.0  # a minute later
    one.put(b"wakes it")
    wait_until(lambda: len(one.found) == 2)
    one.close()


def test_a_forked_child_has_a_segment_of_its_own_and_its_parents_lock_stays(folder):
    one = Reader(folder)
    written(one.put(b"parents"))
    pid = os.fork()
    if pid == 0:
        written(one.put(b"childs"))
        os._exit(0)
    os.waitpid(pid, 0)
    code = (
        "from core.spool.test_writer import *\n"
        f"one = Reader({str(folder)!r}); wait_until(lambda: one.found); one.close(); print(one.found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
    )
    assert done.stdout.strip() == "[(b'who', b'childs')]", done.stderr
    one.close()


def test_a_child_takes_over_from_the_parent_that_it_outlives(folder):
    code = (
        "from core.spool.test_writer import *\n"
        f"one = Reader({str(folder)!r}); written(one.put(b'parents')); parent = os.getpid()\n"
        "if os.fork():\n    os._exit(0)\n"
        "wait_until(lambda: os.getppid() != parent)\n"
        "one.spool.start(); wait_until(lambda: one.found); print(one.found, flush=True); one.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
    )
    assert done.stdout.strip() == "[(b'who', b'parents')]", done.stderr


@pytest.mark.parametrize("kind", ["link", "link in it", "others may write", "a file", "no parent"])
def test_a_directory_that_is_not_ours_alone_is_refused_with_one_line(tmp_path, told, kind):
    folder = tmp_path / "spool"
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    if kind == "link":
        folder.symlink_to(target)
    elif kind == "link in it":
        folder = target
        (folder / "cloudops.lock").symlink_to(tmp_path / "elsewhere")
    elif kind == "others may write":
        folder.mkdir(mode=0o700)
        folder.chmod(0o770)
    elif kind == "a file":
        folder.touch()
    else:
        folder = folder / "deeper"
    one = Reader(folder)
    ticket = one.put(b"secret")
    wait_until(lambda: told, what="the warning")
    assert ticket is None or ticket.segment is None
    for _ in range(3):
        one.put(b"more")
    one.close()
    assert len(told) == 1
    assert not (tmp_path / "elsewhere").exists()
    assert list(target.glob("*.spool")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_directory_is_refused(folder, told):
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    one = Reader(folder)
    one.put(b"secret")
    wait_until(lambda: told)
    assert "has to belong to the service's user" in told[0]
    one.close()


def test_links_and_foreign_files_are_neither_followed_nor_touched(folder, tmp_path, told):
    _leave(folder, [b"0"])
    secret = tmp_path / "secret"
    secret.write_bytes(b"untouched")
    name = f"cloudops-1-{KIND}-"
    (folder / f"{name}{'0' * 16}.spool").symlink_to(secret)
    (folder / f"{name}{'1' * 16}.spool").mkdir()
    os.mkfifo(folder / f"{name}{'2' * 16}.spool")
    os.link(secret, folder / f"{name}{'3' * 16}.spool")
    (folder / f"cloudops-2-{KIND}-{'4' * 16}.spool").write_bytes(b"of a later version")
    (folder / f"cloudops-1-logs-ffffffff-{'5' * 16}.spool").write_bytes(b"for another destination")
    (folder / "notes.txt").write_text("somebody's")
    before = {file.name for file in folder.iterdir() if "cloudops.lock" not in file.name}
    one = Reader(folder, limit=16 * SEGMENT_BYTES)
    wait_until(lambda: one.found == [(b"who", b"0")])
    for ticket in one.tickets:
        one.spool.done(ticket)
    one.close()
    after = {file.name for file in folder.iterdir() if "cloudops.lock" not in file.name}
    assert len(before - after) == 1, "the one whose records were delivered"
    assert secret.read_bytes() == b"untouched"
    assert told == []


def test_what_is_damaged_is_counted_and_costs_no_other(folder, told):
    _leave(folder, [b"%d" % number * 100 for number in range(6)])
    [file] = _segments(folder)
    data = bytearray(file.read_bytes())
    data[data.index(b"2" * 100)] ^= 1
    file.write_bytes(bytes(data) + b"torn")
    one = Reader(folder)
    wait_until(lambda: len(one.found) == 5)
    assert [record[:1] for _, record in one.found] == [b"0", b"1", b"3", b"4", b"5"]
    assert one.damaged == 2
    assert len(told) == 1
    one.close()


def test_a_segment_that_somebody_made_huge_is_read_in_bounded_memory_and_time(folder):
    _leave(folder, [b"0"])
    [file] = _segments(folder)
    os.truncate(file, 1 << 32)
    began = time.monotonic()
    one = Reader(folder)
    wait_until(lambda: one.found == [(b"who", b"0")])
    assert time.monotonic() - began < 1
    one.close()


def test_records_come_back_as_there_is_room_for_them(folder):
    for _ in range(3):
        _leave(folder, [b"x"])
    rooms = threading.Semaphore(1)
    one = Reader(folder, room=lambda: rooms.acquire(blocking=False))
    wait_until(lambda: len(one.found) == 1)
    assert len(one.found) == 1
    rooms.release()
    one.put(b"wakes it")
    wait_until(lambda: len(one.found) == 2)
    one.close()


def test_a_full_disk_costs_the_copy_on_disk_alone_and_is_told_once(folder, told):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    one = Reader(folder)
    first = one.put(b"x" * 1000)
    written(first)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))  # Python ignores SIGXFSZ: EFBIG
        for _ in range(5):
            one.put(b"y" * 5000)
        wait_until(lambda: one.spool.skipped == 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(told) == 1
    assert "waits in memory alone" in told[0]
    one.close()
    another = Reader(folder)
    wait_until(lambda: another.found == [(b"who", b"x" * 1000)], what="what was on disk before")
    assert another.damaged == 0, "nothing torn is left behind"
    another.close()


def test_a_disk_that_fails_is_tried_again_later(folder, told, monkeypatch):
    failing = True
    attempts = 0
    write = os.pwrite

    def pwrite(descriptor, data, at):
        nonlocal attempts
        attempts += 1
        if failing:
            raise OSError(errno.EIO, "Input/output error")
        return write(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    one = Reader(folder)
    one.put(b"0")
    wait_until(lambda: one.spool.skipped == 1)
    one.put(b"1")
    wait_until(lambda: one.spool.skipped == 2)
    assert attempts == 1, "a disk that fails is left alone for a while"
    one.spool._not_before = 0.0
    one.put(b"2")
    wait_until(lambda: one.spool.skipped == 3)
    assert attempts == 2
    failing = False
    one.spool._not_before = 0.0
    written(one.put(b"2"))
    assert len(told) == 1
    one.close()


def test_a_disk_that_hangs_holds_up_no_call_and_no_memory(folder):
    hangs = threading.Event()
    one = Reader(folder)
    one.spool.put(lambda: bytes(hangs.wait(20)), 1)
    began = time.monotonic()
    given = [one.put(bytes(100_000)) for _ in range(200)]
    assert time.monotonic() - began < 1
    assert sum(ticket is not None for ticket in given) * 100_000 <= QUEUE_BYTES
    hangs.set()
    one.close()


def test_a_record_that_cannot_be_made_costs_no_other(folder):
    one = Reader(folder)
    one.spool.put(lambda: bytes(1 // 0), 1)
    written(one.put(b"fine"))
    assert one.spool.skipped == 1
    one.close()


def test_a_segment_is_made_by_one_process_at_a_time(tmp_path):
    """Between its making and its lock, a segment looks like a dead process's."""
    folder = tmp_path / "spool"
    directory = Directory(str(folder), 64 * SEGMENT_BYTES)
    code = (
        "import sys; from app.core.spool.directory import *\n"
        f"d = Directory({str(folder)!r}, {64 * SEGMENT_BYTES})\n"
        "print('ready', flush=True)\n"
        f"taken = 0\nfor _ in range(3000):\n    taken += d.claim({KIND!r}) is not None\nprint(taken)"
    )
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        made: list[Segment] = []
        while process.poll() is None and len(made) < 60:
            segment = directory.create(KIND)
            assert segment is not None
            made.append(segment)
        assert process.stdout.read() == b"0\n"
    for segment in made:
        segment.remove()
    directory.close()
