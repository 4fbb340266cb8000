"""The servers that people run FastAPI with, started as they start them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .servers import TESTS, Server, answers, free_port
from .waiting import wait_until

_GUNICORN = ("gunicorn", "--worker-class", "uvicorn_worker.UvicornWorker", "--graceful-timeout", "12")
#: Name to module and options; `{bind}` and `{port}` are filled in.
SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn": ("uvicorn", "--port", "{port}"),
    "uvicorn with reload": ("uvicorn", "--port", "{port}", "--reload"),
    "uvicorn without lifespan": ("uvicorn", "--port", "{port}", "--lifespan", "off"),
    "uvicorn with 4 workers": ("uvicorn", "--port", "{port}", "--workers", "4"),
    "gunicorn": (*_GUNICORN, "--workers", "2", "--bind", "{bind}"),
    "gunicorn with preload": (*_GUNICORN, "--workers", "2", "--bind", "{bind}", "--preload"),
    "hypercorn": ("hypercorn", "--bind", "{bind}", "--workers", "1", "--graceful-timeout", "3"),
    "hypercorn without workers": ("hypercorn", "--bind", "{bind}", "--workers", "0", "--graceful-timeout", "3"),
    "granian on asyncio": (
        "granian",
        "--interface",
        "asgi",
        "--port",
        "{port}",
        "--workers",
        "1",
        "--loop",
        "asyncio",
    ),
    "granian": ("granian", "--interface", "asgi", "--port", "{port}", "--workers", "1"),
}


@contextmanager
def asgi_server(
    name: str, folder: Path, environment: dict[str, str], *, app: str = "support.ending_app:app"
) -> Iterator[Server]:
    """The app beneath a server of `SERVERS`, in a session of its own; its output goes to a file in `folder`."""
    port = free_port()
    module, *options = (part.format(bind=f"127.0.0.1:{port}", port=port) for part in SERVERS[name])
    output = folder / f"{module}-{port}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *options, app],
            stdout=log,
            stderr=log,
            cwd=folder,  # what a reloader watches
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}", "TMPDIR": str(folder), **environment},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url) or process.poll() is not None, 30, f"the start of {name}")
        assert process.poll() is None, output.read_text()
        yield Server(process, url, output)
    finally:
        with suppress(ProcessLookupError):  # workers stand in the session that was made for them
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
