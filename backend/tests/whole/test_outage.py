"""The emulator dies under load and comes back: no request notices, and no count is lost."""

import asyncio
import signal
from collections import Counter

import httpx
import pytest

from support.cloudops import EmulatorProcess, emulator_process
from support.servers import serving
from support.waiting import wait_until_async

# The API's own gap, so that the emulator runs as it ships.
PACE = {"TEST_EXPORT_INTERVAL": "5.5", "TEST_GAP": "5.2"}


async def _load(url: str, stop: asyncio.Event, ledger: Counter[int]) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=5) as client:
        while not stop.is_set():
            answers = await asyncio.gather(*(client.get(f"/items/{number}") for number in range(10)))
            ledger.update(answer.status_code for answer in answers)
            await asyncio.sleep(0.02)


def _counted(emulator: EmulatorProcess) -> float:
    url = f"{emulator.addresses['http']}/v1/projects/demo/location/global/prometheus/api/v1/query"
    query = 'sum(http_request_total{endpoint="/items/{item_id}"})'
    result = httpx.get(url, params={"query": query}).json()["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


@pytest.mark.parametrize("keeps", [False, True], ids=["in memory", "with a data directory"])
async def test_totals_equal_the_ledger_although_the_emulator_was_killed_under_load(tmp_path, keeps):
    ledger: Counter[int] = Counter()
    stop = asyncio.Event()
    options = ("--data-dir", str(tmp_path / "data")) if keeps else ()
    with emulator_process(*options) as emulator:
        environment = {**PACE, "CLOUDOPS_EMULATOR_HOST": emulator.addresses["grpc"]}
        ports = ("--grpc-port", emulator.port("grpc"), "--http-port", emulator.port("http"))
        with serving(tmp_path, environment) as server:
            load = asyncio.create_task(_load(server.url, stop, ledger))
            await wait_until_async(lambda: _counted(emulator) > 0, 20, "the first export")
            emulator.stop(signal.SIGKILL)
            during = ledger.total()
            await wait_until_async(lambda: "UNAVAILABLE" in server.output.read_text(), 20, "an export that failed")
            assert ledger.total() > during, "requests went on while the emulator was away"
            with emulator_process(*ports, *options) as successor:
                await wait_until_async(lambda: _counted(successor) > during, 30, "the export after the outage")
                stop.set()
                await load
                server.terminate()
                assert set(ledger) == {200}
                assert _counted(successor) == ledger[200]
