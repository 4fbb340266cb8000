import os
import subprocess
import sys
from pathlib import Path

from app.core.metrics.slot import claim

HOLDER = """
import sys, time
from pathlib import Path
from app.core.metrics.slot import claim
slot = claim("items", Path(sys.argv[1]))
slot.remember(42)
print(slot.label, slot.last_end, flush=True)
sys.stdin.read()
"""


def _hold(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_workers_of_one_instance_have_slots_of_their_own(tmp_path):
    with _hold(tmp_path) as first, _hold(tmp_path) as second:
        assert first.stdout is not None
        assert second.stdout is not None
        labels = {first.stdout.readline().split()[0], second.stdout.readline().split()[0]}
        assert labels == {"0", "1"}
        assert claim("items", tmp_path).label == "2"
        assert claim("another-service", tmp_path).label == "0"
        first.communicate()
        second.communicate()


def test_the_slot_of_a_killed_worker_is_taken_over_with_its_last_end(tmp_path):
    with _hold(tmp_path) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        worker.kill()
        worker.wait()
        slot = claim("items", tmp_path)
        assert (slot.label, slot.last_end) == ("0", 42)
        slot.release()


def test_one_process_does_not_claim_a_slot_twice(tmp_path):
    first, second = claim("items", tmp_path), claim("items", tmp_path)
    assert (first.label, second.label) == ("0", "1")
    first.release()
    assert claim("items", tmp_path).label == "0"
    second.release()


def test_without_a_writable_folder_the_label_is_random_and_told(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    slot = claim("items", tmp_path / "file" / "folder")
    assert len(slot.label) == 8
    slot.remember(1)
    assert "a series of its own" in capfd.readouterr().err


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path):
    (tmp_path / "items.0").symlink_to(tmp_path / "elsewhere")
    assert len(claim("items", tmp_path).label) == 8
    assert not (tmp_path / "elsewhere").exists()
