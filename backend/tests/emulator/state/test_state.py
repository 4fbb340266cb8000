"""Export and import: what comes out goes in again, whole or not at all."""

import io
import random
from pathlib import Path

import httpx
import pytest

from app.emulator.journal import Record, SqliteJournal, VolatileJournal
from app.emulator.state.archive import StateError, packed, unpacked
from support.cloudops import cloudops, emulator_process
from support.emulator import RunningEmulator, running_emulator
from support.provenance import our_choice

RECORDS = [Record("a.b", b"\x00\xff" * 50, 7), Record("c", b""), Record("a.b", bytes(100_000), 2**62)]


def again(data: bytes, size: int = 1000) -> list[Record]:
    return list(unpacked(data[at : at + size] for at in range(0, len(data), size)))


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_what_comes_out_goes_in_again(size: int) -> None:
    assert again(b"".join(packed(RECORDS)), size) == RECORDS


def test_an_empty_state_is_a_state() -> None:
    assert again(b"".join(packed([]))) == []


@our_choice("half a state is none")
def test_a_file_cut_short_anywhere_is_refused() -> None:
    whole = b"".join(packed(RECORDS))
    for size in range(len(whole)):
        with pytest.raises(StateError):
            again(whole[:size])


def test_a_changed_file_is_refused() -> None:
    whole = b"".join(packed(RECORDS))
    dice = random.Random(1)
    for _ in range(300):
        changed = bytearray(whole)
        changed[dice.randrange(16, len(whole))] ^= 1 << dice.randrange(8)
        try:
            found = again(bytes(changed))
        except StateError:
            continue
        assert found == RECORDS, "gzip has bits that mean nothing, such as the operating system's name"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no state of an emulator"),
        (b"PK\x03\x04" + bytes(100), "no state of an emulator"),
        (b"cloudops-state 1\n", "state of version 1, this cloudops reads version 2"),
    ],
)
def test_another_file_is_told_as_such(data: bytes, why: str) -> None:
    with pytest.raises(StateError, match=why):
        again(data)


def write_something(emulator: RunningEmulator) -> None:
    entry = {"logName": "projects/demo/logs/app", "resource": {"type": "global"}, "textPayload": "kept"}
    httpx.post(f"{emulator.http}/v2/entries:write", json={"entries": [entry]}).raise_for_status()
    point = {"interval": {"endTime": "2023-11-14T22:13:20Z"}, "value": {"doubleValue": 1.5}}
    series = {
        "metric": {"type": "custom.googleapis.com/depth", "labels": {"queue": "a"}},
        "resource": {"type": "global"},
        "points": [point],
    }
    url = f"{emulator.http}/v3/projects/demo/timeSeries"
    httpx.post(url, json={"timeSeries": [series]}).raise_for_status()
    dashboard = {"displayName": "Kept", "gridLayout": {"columns": "2"}}
    httpx.post(f"{emulator.http}/v1/projects/demo/dashboards", json=dashboard).raise_for_status()
    bucket = f"{emulator.http}/v2/projects/demo/locations/global/buckets?bucketId=kept"
    httpx.post(bucket, json={"retentionDays": 3}).raise_for_status()


def told_by(emulator: RunningEmulator) -> list[object]:
    range_ = {"interval.startTime": "2023-11-14T00:00:00Z", "interval.endTime": "2023-11-15T00:00:00Z"}
    series = {"filter": 'metric.type = "custom.googleapis.com/depth"', **range_}
    return [
        httpx.post(f"{emulator.http}/v2/entries:list", json={"resourceNames": ["projects/demo"]}).json(),
        httpx.get(f"{emulator.http}/v3/projects/demo/timeSeries", params=series).json(),
        httpx.get(f"{emulator.http}/v1/projects/demo/dashboards").json(),
        httpx.get(f"{emulator.http}/v2/projects/demo/locations/global/buckets").json(),
    ]


@pytest.fixture
def clock() -> "object":
    from app.emulator.clock import NANOS, ManualClock  # noqa: PLC0415  # next to its use

    return ManualClock(1_700_000_000 * NANOS)


@pytest.mark.parametrize("stored", [False, True])
def test_a_running_emulator_gives_its_state_to_another(tmp_path: Path, clock: "object", stored: bool) -> None:
    with running_emulator(clock=clock, data_dir=tmp_path / "one" if stored else None) as one:  # type: ignore[arg-type]  # a ManualClock
        write_something(one)
        before = told_by(one)
        state = httpx.get(f"{one.http}/control/state").raise_for_status().content
        refused = httpx.post(f"{one.http}/control/state", content=state)
        assert refused.status_code == 400
        assert "has state of its own" in refused.json()["error"]["message"]
    with running_emulator(clock=clock, data_dir=tmp_path / "two" if stored else None) as two:  # type: ignore[arg-type]  # as above
        broken = httpx.post(f"{two.http}/control/state", content=state[:-1])
        assert (broken.status_code, "cut short" in broken.text) == (400, True)
        httpx.post(f"{two.http}/control/state", content=state).raise_for_status()
        assert told_by(two) == before
        assert httpx.get(f"{two.http}/control/storage").json()["logEntries"] == "1"


def test_the_verbs_work_on_a_running_emulator_and_on_a_data_directory(tmp_path: Path) -> None:
    file, data_dir = tmp_path / "a.state", tmp_path / "data"
    with emulator_process() as one:
        done = cloudops("state", "import", str(tmp_path / "missing"), **one.variables)
        assert (done.returncode, "No such file" in done.stderr) == (1, True)
        httpx.post(
            f"{one.addresses['http']}/v1/projects/demo/dashboards",
            json={"displayName": "Kept", "gridLayout": {"columns": "2"}},
        ).raise_for_status()
        done = cloudops("state", "export", str(file), **one.variables)
        assert done.returncode == 0, done.stderr
    done = cloudops("state", "import", str(file), "--data-dir", str(data_dir))
    assert (done.returncode, done.stdout) == (0, "1 records taken in\n"), done.stderr
    with emulator_process("--data-dir", str(data_dir)) as two:
        found = httpx.get(f"{two.addresses['http']}/v1/projects/demo/dashboards").json()
        assert [one["displayName"] for one in found["dashboards"]] == ["Kept"]
        busy = cloudops("state", "export", str(tmp_path / "b.state"), "--data-dir", str(data_dir))
        assert busy.returncode == 1
        assert "Another emulator uses the data directory" in busy.stderr
    offline = cloudops("state", "export", str(tmp_path / "b.state"), "--data-dir", str(data_dir))
    assert offline.returncode == 0, offline.stderr
    assert (tmp_path / "b.state").read_bytes() == file.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.state", "b.state", "data"]
    nobody = cloudops("state", "export", str(file), CLOUDOPS_EMULATOR_HTTP="http://127.0.0.1:1")
    assert (nobody.returncode, "cloudops up" in nobody.stderr) == (1, True)


def test_a_volatile_journal_keeps_order_and_forgets() -> None:
    journal = VolatileJournal()
    for record in RECORDS:
        journal.append(*record)
    assert list(journal.records()) == RECORDS
    assert journal.forget("a.b", 7) == 1
    assert list(journal.records()) == RECORDS[1:]
    assert journal.size() == 100_000


def test_a_journal_of_sqlite_gives_its_room_back(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    for at in range(1, 2000):
        journal.append("points", bytes(10_000), at)
    journal.append("kept", b"1")
    size = journal.size()
    assert journal.forget("points", 1990) == 1990
    assert [record.until for record in journal.records()] == [*range(1991, 2000), 0]
    journal.close()
    assert (tmp_path / "journal.sqlite").stat().st_size < size / 2


def test_a_piece_may_be_a_file(tmp_path: Path) -> None:
    with io.BytesIO(b"".join(packed(RECORDS))) as file:
        assert list(unpacked(iter(lambda: file.read(64), b""))) == RECORDS
    assert not list(tmp_path.iterdir())
