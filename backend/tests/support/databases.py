"""Throw-away servers for tests: PostgreSQL and Redis, real ones, on sockets and ports of their own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .servers import free_port
from .tools import tool
from .waiting import wait_until

Ready = Callable[[], bool]


class Stoppable:
    """A server that a test stops and starts again, with its data and on its port."""

    def __init__(self, url: str, command: list[str], folder: Path, stops_by: signal.Signals, ready: Ready) -> None:
        self.url = url
        self._command = command
        self._folder = folder
        self._stops_by = stops_by
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder)
        self._process = process
        wait_until(lambda: self._ready() or process.poll() is not None, 30, f"the start of {self._command[-1]}")
        assert process.poll() is None, (self._folder / "log").read_text()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(self._stops_by)
            process.wait(30)


@contextmanager
def stoppable_postgresql() -> Iterator[Stoppable]:
    """A database of its own that runs; its `url` is postgresql://postgres@127.0.0.1:PORT/postgres."""
    initdb, server, ready = tool("initdb"), tool("postgres"), tool("pg_isready")
    as_user: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    data = folder / "data"
    if os.geteuid() == 0:  # both programs refuse to run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        as_user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--"]
    port = free_port()
    asked = [ready, "-q", "-h", "127.0.0.1", "-p", str(port)]
    options = ["-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
    running = Stoppable(
        f"postgresql://postgres@127.0.0.1:{port}/postgres",
        [*as_user, server, "-D", str(data), *options],
        folder,
        signal.SIGQUIT,  # immediate shutdown
        lambda: subprocess.run(asked, check=False).returncode == 0,
    )
    try:
        subprocess.run(
            [*as_user, initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "--encoding=UTF8"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a database that lives as long as the block: postgresql://postgres@127.0.0.1:PORT/postgres."""
    with stoppable_postgresql() as running:
        yield running.url


@contextmanager
def stoppable_redis(*options: str) -> Iterator[Stoppable]:
    """A Redis server that runs, with more options of its configuration; its `url` is redis://127.0.0.1:PORT/0."""
    port = free_port()
    server = [tool("redis-server"), "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    running = Stoppable(
        f"redis://127.0.0.1:{port}/0", [*server, *options], folder, signal.SIGKILL, lambda: _listens(port)
    )
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server(*options: str) -> Iterator[int]:
    """The port of a Redis server that lives as long as the block, with more options of its configuration."""
    with stoppable_redis(*options) as running:
        yield int(running.url.rpartition(":")[2].removesuffix("/0"))


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
