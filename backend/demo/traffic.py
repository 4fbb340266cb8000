"""A seeded load driver that keeps its own ledger of what it sent and what came back."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import httpx

API = "/api/v1"


@dataclass
class Ledger:
    """What the service answered, by (route template, method, status)."""

    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    unanswered: int = 0

    @property
    def sent(self) -> int:
        return self.answers.total() + self.unanswered

    @property
    def failed(self) -> int:
        return sum(count for (_, _, status), count in self.answers.items() if status >= 500)  # noqa: PLR2004  # HTTP's


@dataclass(frozen=True)
class _Call:
    method: str
    template: str
    path: str
    body: dict[str, object] | None = None


def _healthy_call(dice: random.Random) -> _Call:
    throw = dice.random()
    if throw < 0.5:  # noqa: PLR2004  # shares of the traffic: half reads one item
        return _Call("GET", f"{API}/items/{{item_id}}", f"{API}/items/{dice.randint(1, 60)}")
    if throw < 0.75:  # noqa: PLR2004  # a quarter lists
        return _Call("GET", f"{API}/items", f"{API}/items")
    if throw < 0.95:  # noqa: PLR2004  # a fifth writes
        return _Call("POST", f"{API}/items", f"{API}/items", {"name": f"item {dice.randint(1, 999)}", "price": 9.5})
    return _Call("GET", f"{API}/slow", f"{API}/slow?seconds={dice.uniform(0.1, 0.6):.2f}")


def _failing_call(dice: random.Random) -> _Call:
    status = dice.choice((500, 502, 503))
    return _Call("GET", f"{API}/fail", f"{API}/fail?status={status}")


class Driver:
    """Sends requests at a steady rate; a share of them can be made to fail.

    Args:
        url: Base URL of the service.
        per_second: Requests a second.
        seed: The same seed sends the same requests.
    """

    def __init__(self, url: str, per_second: float = 20.0, seed: int = 1) -> None:
        self.ledger = Ledger()
        self.failing_share = 0.0
        self._pause = 1.0 / per_second
        self._dice = random.Random(seed)  # noqa: S311  # traffic, not secrets
        self._client = httpx.AsyncClient(base_url=url, timeout=10.0)

    async def run(self, until: asyncio.Event) -> None:
        """Send until told to stop, then wait for the answers that are still due."""
        async with self._client, asyncio.TaskGroup() as requests:
            while not until.is_set():
                failing = self._dice.random() < self.failing_share
                call = _failing_call(self._dice) if failing else _healthy_call(self._dice)
                requests.create_task(self._send(call))
                try:
                    await asyncio.wait_for(until.wait(), self._pause)
                except TimeoutError:
                    continue

    async def _send(self, call: _Call) -> None:
        try:
            answer = await self._client.request(call.method, call.path, json=call.body)
        except httpx.HTTPError:
            self.ledger.unanswered += 1
        else:
            self.ledger.answers[(call.template, call.method, answer.status_code)] += 1
