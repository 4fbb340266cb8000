"""How long `/health/live` takes while the service is under load, beside a route of its own that does nothing.

A service beneath uvicorn, one worker, with a check that hangs and one that answers. Clients in a process of their own
ask for items, at a set rate or as fast as they can; meanwhile two connections ask for `/health/live` and `/ping` in
turns. The bound is 10 ms at 200 requests a second; at saturation every request waits its turn in the event loop, and
what counts is that liveness takes no longer than `/ping`.

Run: python backend/benchmarks/health_latency.py --seconds 15
"""

import argparse
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

_BACKEND: Final = Path(__file__).parents[1]
_APP: Final = """
import asyncio, sys
import uvicorn
from fastapi import FastAPI
from app.core import health, instrument
app = FastAPI()
@app.get("/items/{item_id}")
async def item(item_id: int) -> dict[str, int]:
    return {"id": item_id}
@app.get("/ping")
async def ping() -> dict[str, bool]:
    return {"ok": True}
@health.check("hangs", critical=False)
async def hangs() -> None:
    await asyncio.sleep(3600)
@health.check("answers")
def answers() -> None: ...
instrument(app)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""
_LOAD: Final = """
import http.client, sys, threading, time
port, rate, clients = int(sys.argv[1]), float(sys.argv[2]), 8
def run():
    connection = http.client.HTTPConnection("127.0.0.1", port)
    due = time.monotonic()
    while True:
        connection.request("GET", "/items/1")
        connection.getresponse().read()
        if rate:
            due += clients / rate
            time.sleep(max(0.0, due - time.monotonic()))
for _ in range(clients):
    threading.Thread(target=run, daemon=True).start()
time.sleep(3600)
"""


def _asked(connection: http.client.HTTPConnection, path: str) -> float:
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{path} answered {answer.status}")
    return (time.perf_counter() - began) * 1000


def _wait(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the service did not start")


def measured(port: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds by path."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    found: dict[str, list[float]] = {"/health/live": [], "/ping": []}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for path, times in found.items():
            times.append(_asked(connection, path))
            time.sleep(0.005)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0)
    seconds = parser.parse_args().seconds
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    environment = {**os.environ, "PYTHONPATH": str(_BACKEND)}
    command = [sys.executable, "-c", _APP, str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, **quiet) as server:  # type: ignore[call-overload]  # two options
        try:
            _wait(port)
            for title, rate in {"no load": -1.0, "200 requests a second": 200.0, "saturated": 0.0}.items():
                load = None
                if rate >= 0:
                    load = subprocess.Popen([sys.executable, "-c", _LOAD, str(port), str(rate)])
                    time.sleep(1.0)
                try:
                    print(f"{title}:")
                    for path, times in measured(port, seconds).items():
                        ordered = sorted(times)
                        p99 = ordered[len(ordered) * 99 // 100]
                        within = sum(one < 10 for one in times) / len(times)
                        print(
                            f"  {path:13} p50 {statistics.median(times):6.2f} ms  p99 {p99:6.2f} ms  "
                            f"most {ordered[-1]:6.2f} ms  within 10 ms {within:.2%} of {len(times)}"
                        )
                finally:
                    if load is not None:
                        load.kill()
                        load.wait()
        finally:
            server.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    main()
