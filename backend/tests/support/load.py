"""Requests to a server from several clients, and the ledger of what was answered."""

import threading
import time
from contextlib import suppress

import httpx


class Load:
    """Asks for `/items/NUMBER`, each number once, until it is stopped or nobody answers.

    Args:
        url: Of the server.
        first: The first number.
        clients: How many ask at a time, each about 40 times a second at most.
    """

    def __init__(self, url: str, first: int = 0, clients: int = 4) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._next = first
        self._stop = threading.Event()
        #: When each number was answered, on the monotonic clock.
        self.answered: dict[int, float] = {}
        self.others: list[int] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=20) as client, suppress(httpx.HTTPError):
            while not self._stop.wait(0.02):
                with self._lock:
                    number, self._next = self._next, self._next + 1
                status = client.get(f"/items/{number}").status_code
                if status == httpx.codes.OK:
                    self.answered[number] = time.monotonic()
                else:
                    self.others.append(status)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
