"""SIGKILL under load with a spool: what is on disk arrives, once, by the next process or by another worker."""

import os
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from support.arrived import access_entries, spans
from support.emulator import running_emulator
from support.load import Load
from support.servers import Server, free_port, serving
from support.waiting import wait_until

# What a client has the answer of need not be on disk yet: the spool's thread writes it. Far more than it takes here.
TOLERANCE_SECONDS = 1.0


def _environment(address: str, folder: Path) -> dict[str, str]:
    return {
        "CLOUDOPS_EMULATOR_HOST": address,
        "GOOGLE_CLOUD_PROJECT": "demo",
        "SERVICE_NAME": "items",
        "LOG_DESTINATION": "api",
        "TRACE_SAMPLE_RATE": "1.0",
        "ENABLE_METRICS": "false",
        "SPOOL_DIRECTORY": str(folder / "spool"),
    }


def _killed(server: Server) -> float:
    """SIGKILL for the server and all of its workers at once."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    now = time.monotonic()
    for pid in [server.process.pid, *map(int, children)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait(10)
    return now


def _killed_under_load(folder: Path, address: str, workers: int) -> set[int]:
    """Run a service until it is killed; the items whose records have to be on disk, or delivered."""
    with serving(folder, _environment(address, folder), workers=workers) as server:
        load = Load(server.url, 0)
        wait_until(lambda: len(load.answered) > 100, 30, "some load")
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + 2 * TOLERANCE_SECONDS, what="more of it")
        killed = _killed(server)
        load.stop()
    return {number for number, at in load.answered.items() if at < killed - TOLERANCE_SECONDS}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("back_end", ["there", "away"])
def test_after_sigkill_everything_that_was_on_disk_arrives_once(tmp_path, workers, back_end):
    port = free_port()
    with ExitStack() as stack:
        if back_end == "there":
            emulator = stack.enter_context(running_emulator(grpc_port=port))
        owed = _killed_under_load(tmp_path, f"127.0.0.1:{port}", workers)
        assert len(owed) > 100
        if back_end == "away":
            emulator = stack.enter_context(running_emulator(grpc_port=port))
        with serving(tmp_path, _environment(emulator.grpc, tmp_path), workers=workers) as successor:
            with httpx.Client(base_url=successor.url) as client:
                for number in range(1_000_000, 1_000_020):
                    client.get(f"/items/{number}")
                    owed.add(number)
            wait_until(lambda: owed <= access_entries(emulator).keys(), 30, "what was left behind")
            assert successor.terminate() in {0, -signal.SIGTERM}
            arrived = access_entries(emulator)
        assert [number for number, entries in arrived.items() if len(entries) != 1] == []
        kept = spans(emulator)
        assert owed <= {number for number, [identity] in arrived.items() if identity in kept}
        assert list((tmp_path / "spool").glob("*.spool")) == [], "what is delivered is on disk no more"
