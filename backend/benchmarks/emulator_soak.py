"""Hours of load on the emulator's stores, as fast as this machine can: memory has to stay flat.

5,000 log entries and 2,000 points a second of the emulator's own clock, into a data directory of its own. A line tells
each minute; at the end the slope of the memory over the second half is held against a limit.

Run: make soak (or: python backend/benchmarks/emulator_soak.py --minutes 10)
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np

from app.emulator.journal import SqliteJournal
from app.emulator.project import Switches
from support.emulator_load import Look, load

MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60, help="of the emulator's clock")
    parser.add_argument("--entries", type=int, default=5_000, help="a second")
    parser.add_argument("--points", type=int, default=2_000, help="a second")
    parser.add_argument("--limit", type=float, default=1.0, help="MiB a minute that memory may still grow")
    arguments = parser.parse_args()
    looks: list[Look] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "journal.sqlite")
        seconds = arguments.minutes * 60
        for look in load(
            seconds,
            entries_a_second=arguments.entries,
            points_a_second=arguments.points,
            switches=Switches(),
            journal=journal,
        ):
            looks.append(look)
            print(
                f"minute {look.second // 60:4}: {look.resident / MIB:7.0f} MiB resident,"
                f" {look.entries:7,} entries ({look.entry_bytes / MIB:4.0f} MiB),"
                f" {look.points:10,} points ({look.point_bytes / MIB:4.0f} MiB),"
                f" journal {look.journal_bytes / MIB:5.0f} MiB, {time.monotonic() - began:5.0f} s",
                flush=True,
            )
        journal.close()
    half = looks[len(looks) // 2 :]
    if len(half) < 2:
        return
    slope = float(np.polyfit([look.second / 60 for look in half], [look.resident / MIB for look in half], 1)[0])
    # Points below their bound still grow, as they should.
    growth = (half[-1].point_bytes - half[0].point_bytes) / MIB / (len(half) - 1)
    print(f"Memory grew by {slope:.2f} MiB a minute in the second half, points by {growth:.2f}.")
    if slope - growth > arguments.limit:
        sys.exit(f"That is more than {arguments.limit:g} MiB a minute beside the points.")


if __name__ == "__main__":
    main()
