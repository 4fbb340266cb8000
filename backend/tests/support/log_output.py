"""Outputs that a test reads as slowly as it likes, and processes that log to them."""

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.core.logging.stdout import Stdout
from support.waiting import wait_until

BACKEND = Path(__file__).parents[2]


def log_line(number: int, length: int = 200, severity: str = "INFO") -> bytes:
    head = b'{"severity":"%s","n":%d,"pad":"' % (severity.encode(), number)
    return head + b"x" * (length - len(head) - 3) + b'"}\n'


def numbers_of(output: bytes | bytearray) -> list[int]:
    """The numbers of the lines; fails on a torn one."""
    return [json.loads(line)["n"] for line in output.splitlines()]


class Pipe:
    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.output = bytearray()
        self._ended = threading.Event()
        self._readers: list[threading.Thread] = []

    def start_reading(self, *, slowly: bool = False) -> None:
        thread = threading.Thread(target=self._read, args=(slowly,))
        thread.start()
        self._readers.append(thread)

    def _read(self, slowly: bool) -> None:
        while not self._ended.is_set():
            if select.select([self.reading], [], [], 0.02)[0]:
                chunk = os.read(self.reading, 10_000 if slowly else 1 << 20)
                if slowly:
                    time.sleep(0.001)
                if not chunk:
                    self._ended.set()
                self.output += chunk

    def all_of(self, stdout: Stdout) -> bytes:
        """Everything that an output says it has written."""
        if not self._readers:
            self.start_reading()
        wait_until(lambda: len(self.output) >= stdout.bytes, what="everything to arrive")
        return bytes(self.output)

    def to_the_end(self, seconds: float = 10.0) -> bytes:
        """Everything, after the last process has closed the pipe."""
        self.close_writing()
        if not self._readers:
            self.start_reading()
        assert self._ended.wait(seconds), "somebody holds the pipe open"
        return bytes(self.output)

    def close_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def close_reading(self) -> None:
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1

    def end(self) -> None:
        self._ended.set()
        for thread in self._readers:
            thread.join(10)
        self.close_reading()
        self.close_writing()


@contextmanager
def logging_process(code: str, stdout: Any, **options: Any) -> Iterator[Any]:
    """Python code with `log`, a Stdout, in a process of its own."""
    setup = "import os, sys, time\nfrom app.core.logging.stdout import Stdout\nlog = Stdout()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", setup + code],
        stdout=stdout,
        env={**os.environ, "PYTHONPATH": str(BACKEND), "PYTHONDONTWRITEBYTECODE": "1"},
        **options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def said_by(process: Any) -> Any:
    """The next line on its standard error."""
    assert select.select([process.stderr], [], [], 30)[0], "the process waits"
    return process.stderr.readline()


def are_quick(calls: list[float]) -> bool:
    """A busy machine stops some calls for a moment; a write that waits is stopped until somebody reads."""
    return sorted(calls)[len(calls) * 99 // 100] < 0.005 and max(calls) < 1


@contextmanager
def logging_processes(code: str, stdout: Any, count: int, **options: Any) -> Iterator[list[Any]]:
    setup = "import os, sys\nfrom app.core.logging.stdout import Stdout\nlog = Stdout()\n"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", setup + code],
            stdout=stdout,
            env={**os.environ, "PYTHONPATH": str(BACKEND), "WORKER": str(worker)},
            **options,
        )
        for worker in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
