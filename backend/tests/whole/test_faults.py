"""Faults between the service and its back end, for all signals at once, under load: nothing lost, nothing doubled."""

import signal
import time
from typing import Literal

import pytest

from app.emulator.project import Switches
from support.arrived import access_entries, counted_requests, spans
from support.emulator import running_emulator
from support.fault_proxy import Fault, fault_proxy
from support.load import Load
from support.servers import serving
from support.waiting import wait_until

FAULT_SECONDS = 4.0
QUICK = Switches(minimum_gap_seconds=0.0)


@pytest.mark.parametrize("fault", ["refuse", "blackhole", "503", "reset after commit", "slow", "freeze"])
def test_logs_spans_and_counters_equal_the_ledger_after_a_fault_under_load(tmp_path, fault: Fault | Literal["freeze"]):
    with running_emulator(switches=QUICK) as emulator, fault_proxy(emulator.grpc) as proxy:
        environment = {
            "CLOUDOPS_EMULATOR_HOST": proxy.address,
            "GOOGLE_CLOUD_PROJECT": "demo",
            "LOG_DESTINATION": "api",
            "TRACE_SAMPLE_RATE": "1.0",
        }
        with serving(tmp_path, environment) as server:
            load = Load(server.url)
            wait_until(
                lambda: counted_requests(emulator) > 0 and access_entries(emulator) and spans(emulator), 30, "a start"
            )
            before = len(load.answered)
            if fault == "freeze":  # of the service itself, in the middle of whatever it does
                server.process.send_signal(signal.SIGSTOP)
            else:
                proxy.fault = fault
            until = time.monotonic() + FAULT_SECONDS
            wait_until(lambda: time.monotonic() > until, FAULT_SECONDS + 5, "the fault's end")
            if fault == "freeze":
                server.process.send_signal(signal.SIGCONT)
                wait_until(lambda: len(load.answered) > before + 20, what="requests after the thaw")
            else:
                assert proxy.met, "nobody met the fault"
                assert len(load.answered) > before + 20, "requests went on"
                proxy.fault = "none"
            load.stop()
            owed = len(load.answered)
            wait_until(lambda: len(access_entries(emulator)) >= owed, 40, "the entries")
            wait_until(lambda: counted_requests(emulator) >= owed, 40, "the counters")
            wait_until(lambda: len(spans(emulator)) >= owed, 40, "the spans")
            server.terminate()
            output = server.output.read_text()
        assert load.others == []
        arrived = access_entries(emulator)
        assert set(arrived) == set(load.answered)
        assert [number for number, entries in arrived.items() if len(entries) != 1] == []
        assert {identity for [identity] in arrived.values()} == spans(emulator)
        assert counted_requests(emulator) == owed
        assert "was lost" not in output
