"""The `cloudops` command as users run it: a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

BACKEND = Path(__file__).parents[2]
_LIMIT_SECONDS = 60.0


def command(*arguments: str) -> list[str]:
    """The installed command, or, in a checkout without one, its module."""
    installed = Path(sys.executable).with_name("cloudops")
    start = [str(installed)] if installed.exists() else [sys.executable, "-c", "from app.cli import main; main()"]
    return [*start, *arguments]


def environment(**extra: str) -> dict[str, str]:
    """Ours, without what points at somebody's emulator."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDOPS_", "GCE_", "K_"))}
    path = os.pathsep.join([str(BACKEND), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **extra}


def cloudops(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        command(*arguments),
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )


@contextlib.contextmanager
def started(*arguments: str, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command beside the test; what is left of it at the end is killed."""
    process = subprocess.Popen(
        command(*arguments), env=environment(**extra), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@dataclass(frozen=True, slots=True)
class EmulatorProcess:
    process: subprocess.Popen[str]
    addresses: dict[str, str]

    @property
    def variables(self) -> dict[str, str]:
        return {"CLOUDOPS_EMULATOR_HOST": self.addresses["grpc"], "CLOUDOPS_EMULATOR_HTTP": self.addresses["http"]}

    def port(self, wire: str) -> str:
        return self.addresses[wire].rpartition(":")[2]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(_LIMIT_SECONDS)

    def entries(self, query: str = "") -> list[dict[str, Any]]:
        """Every entry that a query matches, oldest first, over REST."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            body = {"resourceNames": ["projects/demo"], "filter": query, "pageSize": 1000, "pageToken": token}
            page = (
                httpx.post(f"{self.addresses['http']}/v2/entries:list", json=body, timeout=30).raise_for_status().json()
            )
            found += page.get("entries", [])
            token = page.get("nextPageToken", "")
            if not token:
                return found


@contextlib.contextmanager
def emulator_process(*arguments: str) -> Iterator[EmulatorProcess]:
    """`cloudops up` on free ports, ready."""
    ports = [part for flag in ("--grpc-port", "--http-port") if flag not in arguments for part in (flag, "0")]
    with started("up", *ports, *arguments) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield EmulatorProcess(process, json.loads(line))
