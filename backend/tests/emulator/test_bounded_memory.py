"""Hours of load in seconds: memory and journal stop growing, and what is younger is there."""

from pathlib import Path

from app.emulator.journal import SqliteJournal
from app.emulator.project import Switches
from support.emulator_load import load
from support.provenance import our_choice

SMALL = Switches(log_entries_kept=5_000, log_bytes_kept=8 * 2**20, point_bytes_kept=2 * 2**20)


@our_choice("24 hours under load stay in bounded memory; here the bounds are small, so that minutes reach them")
def test_memory_and_journal_stop_growing_under_steady_load(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    looks = list(load(600, entries_a_second=50, points_a_second=100, switches=SMALL, journal=journal))
    journal.close()
    settled = looks[len(looks) // 2 :]
    assert all(look.entries <= SMALL.log_entries_kept for look in looks)
    assert all(look.entry_bytes <= SMALL.log_bytes_kept for look in looks)
    # Between two sweeps, half a minute of points may be above the bound.
    assert all(look.point_bytes <= 2 * SMALL.point_bytes_kept for look in settled)
    assert settled[-1].entries == SMALL.log_entries_kept
    assert settled[-1].points > 20_000
    assert max(look.journal_bytes for look in settled) < 1.5 * settled[0].journal_bytes
    assert settled[-1].resident - settled[0].resident < 30 * 2**20
