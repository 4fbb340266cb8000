"""How much later a service answers its first request because of us, without credentials, DNS or a metadata server.

A process beneath uvicorn is started with and without `instrument(app)`, in turns; time runs from its start to its first
answer, so it contains our import. The goal is 200 ms more at most. Wall time is told as the median and the fastest of
some starts, beside the processor time of the process until then (Linux), which a busy machine does not change much.

Run: python backend/benchmarks/start_cost.py --rounds 9
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_BACKEND: Final = Path(__file__).parents[1]
_APP: Final = """
import sys
import uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/items/{item_id}")
async def item(item_id: int) -> dict[str, int]:
    return {"id": item_id}
if sys.argv[2] == "with us":
    from app.core import instrument
    instrument(app)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""
_LATEST: Final = 60.0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /items/1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    return False


def _processor_seconds(pid: int) -> float:
    """Of all threads of a process so far (proc_pid_stat(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def started(variant: str, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds from the start of a process to its first answer, and its processor seconds until then."""
    port = _free_port()
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", _APP, str(port), variant],
        env={**bare, "PYTHONPATH": str(_BACKEND), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while not _answers(port):
                if process.poll() is not None or time.monotonic() - began > _LATEST:
                    raise RuntimeError(f"the service did not start ({variant}, {environment})")
                time.sleep(0.003)
            return time.monotonic() - began, _processor_seconds(process.pid)
        finally:
            process.kill()


@contextmanager
def _never_answers() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with _never_answers() as hole:
        nothing = {"GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent.json", "GCE_METADATA_HOST": hole}
        places = {
            "a laptop, no project": nothing,
            "a project, no credentials": {**nothing, "GOOGLE_CLOUD_PROJECT": "shop"},
            "Cloud Run, a metadata server that never answers": {
                **nothing,
                "K_SERVICE": "items",
                "K_REVISION": "items-1",
                "K_CONFIGURATION": "items",
            },
        }
        print(f"Milliseconds to the first answer: median and fastest of {rounds}, median of processor time:")
        for place, environment in places.items():
            times: dict[str, list[tuple[float, float]]] = {"without us": [], "with us": []}
            for _ in range(rounds):
                for variant, found in times.items():
                    found.append(started(variant, environment))
            told = {variant: _told(found) for variant, found in times.items()}
            told["more"] = [with_us - without for without, with_us in zip(*told.values(), strict=True)]
            print(f"  {place}")
            for variant, figures in told.items():
                print(f"    {variant:10}", " ".join(f"{1000 * figure:6.0f}" for figure in figures))


def _told(found: list[tuple[float, float]]) -> list[float]:
    walls = [wall for wall, _ in found]
    return [statistics.median(walls), min(walls), statistics.median(processor for _, processor in found)]


if __name__ == "__main__":
    main()
