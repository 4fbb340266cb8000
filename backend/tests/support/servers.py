"""Real servers in processes of their own, on free ports."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from .waiting import wait_until

TESTS = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    url: str
    output: Path

    def terminate(self, seconds: float = 15.0) -> int:
        """SIGTERM, as Cloud Run sends it; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def serving(
    folder: Path,
    environment: dict[str, str],
    *,
    app: str = "support.service_app:app",
    workers: int = 1,
) -> Iterator[Server]:
    """The app beneath uvicorn; its output goes to a file in `folder`."""
    port = free_port()
    command = ["-m", "uvicorn", app, "--port", str(port), "--workers", str(workers)]
    output = folder / f"uvicorn-{port}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}", "TMPDIR": str(folder), **environment},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url) or process.poll() is not None, 30, "uvicorn's start")
        assert process.poll() is None, output.read_text()
        yield Server(process, url, output)
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False
