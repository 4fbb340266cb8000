"""Answers that `cloudops parity --record` brought from the real API: the emulator must give the same codes.

`recorded/` holds what somebody with a project sent back; as long as it is empty there is nothing to compare.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.emulator.parity.probes import probes
from app.emulator.parity.session import Session, Side, keep, own_emulator
from support.emulator import RunningEmulator, running_emulator

RECORDED = Path(__file__).with_name("recorded")


def differences(folder: Path, emulator: RunningEmulator) -> Iterator[str]:
    """What the emulator answers otherwise than the recorded answers say."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for file in sorted(folder.glob("*.json")):
        one = json.loads(file.read_text())
        kept[one["wire"], one["probe"]] = one
    side = Side(emulator.emulator.context.project_id, rest=emulator.http, grpc_address=emulator.grpc)
    with own_emulator("demo") as other, Session(other, side) as session:
        for found in session.run(probes()) if kept else ():
            one = kept.get((found.wire, found.probe.name))
            if one is not None and one["answer"]["code"] != found.api.code:
                said = one["answer"]
                yield f"{found.probe.name} ({one['recorded']}): {said['code']} {said['message']}, here {found.api.code}"
    side.close()


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


def test_the_emulator_answers_what_was_recorded(emulator: RunningEmulator) -> None:
    assert list(differences(RECORDED, emulator)) == []


def test_a_recorded_answer_that_the_emulator_does_not_give_is_noticed(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    side = Side("demo", rest=emulator.http, grpc_address=emulator.grpc)
    with own_emulator("demo") as other, Session(other, side, ["rest"]) as session:
        for found in session.run(probes()):
            keep(tmp_path, found, datetime(2026, 11, 21, tzinfo=UTC))
    side.close()
    assert list(differences(tmp_path, emulator)) == []
    file = tmp_path / "no_series.rest.json"
    changed = json.loads(file.read_text())
    changed["answer"]["code"] = "OK"
    file.write_text(json.dumps(changed))
    (told,) = differences(tmp_path, emulator)
    assert told.startswith("no_series (2026-11-21): OK ")
