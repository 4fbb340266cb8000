"""Throw-away servers for tests: PostgreSQL and Redis, real ones, on sockets and ports of their own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .servers import free_port
from .tools import tool
from .waiting import wait_until


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a database that lives as long as the block: postgresql://postgres@127.0.0.1:PORT/postgres."""
    initdb, server, ready = tool("initdb"), tool("postgres"), tool("pg_isready")
    as_user: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    data = folder / "data"
    if os.geteuid() == 0:  # both programs refuse to run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        as_user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--"]
    port = free_port()
    process = None
    try:
        subprocess.run(
            [
                *as_user,
                initdb,
                "-D",
                str(data),
                "-U",
                "postgres",
                "-A",
                "trust",
                "--no-sync",
                "--encoding=UTF8",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        options = ["-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*as_user, server, "-D", str(data), *options], stdout=log, stderr=log, cwd=folder
            )
        command = [ready, "-q", "-h", "127.0.0.1", "-p", str(port)]
        wait_until(lambda: subprocess.run(command, check=False).returncode == 0, 30, "PostgreSQL's start")
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        if process is not None:
            process.send_signal(signal.SIGQUIT)  # immediate shutdown
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server(*options: str) -> Iterator[int]:
    """The port of a Redis server that lives as long as the block, with more options of its configuration."""
    port = free_port()
    command = [
        tool("redis-server"),
        "--port",
        str(port),
        "--save",
        "",
        "--appendonly",
        "no",
        "--bind",
        "127.0.0.1",
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None, 30, "Redis's start")
        assert process.poll() is None, "redis-server ended"
        yield port
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
