"""docs/MONITORING_SYSTEM.md and docs/guides/doctor.md: figures and output are computed, not remembered."""

import os
import re
from pathlib import Path

from support.cloudops import cloudops, emulator_process
from tools.monthly_costs import FREE_GIB, SIZES, Size, costs, gib, samples, spans, table
from tools.reference_pages import ROOT

PAGE = ROOT / "docs" / "MONITORING_SYSTEM.md"
EMPTY = ROOT / "docs" / "examples" / "doctor" / "empty.out.txt"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"


def test_the_table_of_costs_is_computed():
    text = PAGE.read_text()
    shown = re.sub(
        r"(<!-- costs -->\n).*?(<!-- /costs -->)", "\\1" + "\n".join(table()) + "\n\\2", text, flags=re.DOTALL
    )
    if UPDATE:
        PAGE.write_text(shown)
    assert PAGE.read_text() == shown, "run `make snapshots`"


def test_the_large_service_with_all_entries_costs_what_the_text_says():
    large = SIZES[-1]._replace(access_log=1.0)
    assert f"{gib(large):,.0f} GiB and ${(gib(large) - FREE_GIB) * 0.5:,.0f}" in PAGE.read_text()


def test_the_arithmetic_by_hand():
    size = Size("one", 2, 3, 10, 0.5)
    assert samples(size) == 2 * (30 + 35 * 3) * 43_200
    assert gib(size) == 10 * 2_592_000 * 0.5 / 1024**2
    assert spans(size) == 10 * 2_592_000 * 0.1 * 4
    assert costs(size).logs == 0
    assert round(costs(size).traces, 2) == round((10.368 - 2.5) * 0.2, 2)


def test_the_doctor_of_the_guide_is_the_one_that_runs():
    with emulator_process() as emulator:
        answer = cloudops("doctor", "--service", "items", "--environment", "dev", **emulator.variables)
    shown = answer.stdout.replace(emulator.addresses["http"], "http://127.0.0.1:8086")
    shown = shown.replace(emulator.addresses["grpc"], "127.0.0.1:8085").replace(f"{ROOT}/", "")
    assert answer.returncode == 1
    if UPDATE:
        EMPTY.write_text(shown)
    assert EMPTY.read_text() == shown


def test_the_page_links_every_guide():
    text = PAGE.read_text()
    missing = [guide.name for guide in sorted((ROOT / "docs" / "guides").glob("*.md")) if guide.name not in text]
    assert missing == []


def test_every_file_that_the_page_names_exists():
    named = re.findall(r"`((?:backend|terraform|\.github)/[^`*]+)`", PAGE.read_text())
    assert [name for name in named if not Path(ROOT / name).exists()] == []
