"""A service beneath gunicorn, whose workers are forks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .servers import TESTS, Server, answers, free_port
from .waiting import wait_until


@contextmanager
def gunicorn(
    folder: Path, environment: dict[str, str], *options: str, app: str = "support.service_app:app", workers: int = 2
) -> Iterator[Server]:
    """The app beneath gunicorn with uvicorn's worker; `options` such as `--preload`."""
    port = free_port()
    output = folder / f"gunicorn-{port}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", app, "--bind", f"127.0.0.1:{port}", "--workers", str(workers)),
                *("--worker-class", "uvicorn_worker.UvicornWorker", "--graceful-timeout", "12", *options),
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}", "TMPDIR": str(folder), **environment},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url) or process.poll() is not None, 30, "gunicorn's start")
        assert process.poll() is None, output.read_text()
        yield Server(process, url, output)
    finally:
        if process.poll() is None:
            # The workers stand in the session that was made for them.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
