"""A seeded load driver that keeps its own ledger of what it sent and what came back."""

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import httpx

API: Final = "/api/v1"
ITEMS: Final = f"{API}/items"
ITEM: Final = f"{ITEMS}/{{item_id}}"
#: Ordinary requests a second.
PER_SECOND: Final = 10.0
_ANSWER_SECONDS: Final = 40.0
_DRAIN_SECONDS: Final = 10.0
_CONNECTIONS: Final = 200
_KNOWN_ITEMS: Final = 50


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        template: Its route, as the service's metrics name it.
        path: What is asked for; empty where that is the route itself.
        token: An access token.
    """

    method: str
    template: str
    path: str = ""
    body: Mapping[str, object] | None = None
    token: str = ""


#: Draws a request; given are dice, and the items that were created lately.
Draw = Callable[[random.Random, Sequence[int]], Call]
#: Draws with their weights.
Mix = tuple[tuple[float, Draw], ...]


def read_item(dice: random.Random, items: Sequence[int]) -> Call:
    return Call("GET", ITEM, f"{ITEMS}/{dice.choice(items) if items else 1}")


def guess_item(dice: random.Random, _items: Sequence[int]) -> Call:
    return Call("GET", ITEM, f"{ITEMS}/{dice.randint(100_000, 999_999)}")


def list_items(_dice: random.Random, _items: Sequence[int]) -> Call:
    return Call("GET", ITEMS)


def create_item(dice: random.Random, _items: Sequence[int]) -> Call:
    return Call("POST", ITEMS, body={"name": f"item {dice.randint(1, 999)}", "price": dice.randint(1, 99)})


ORDINARY: Final[Mix] = ((0.45, read_item), (0.05, guess_item), (0.2, list_items), (0.3, create_item))


def draw(mix: Mix, dice: random.Random, items: Sequence[int]) -> Call:
    [make] = dice.choices([make for _, make in mix], [weight for weight, _ in mix])
    return make(dice, items)


def visitor(dice: random.Random) -> str:
    """The address of somebody: RFC 5737 keeps these for documentation."""
    return f"198.51.100.{dice.randint(1, 250)}"


@dataclass
class Ledger:
    """What the service answered, by (story, route template, method, status)."""

    rows: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    unanswered: int = 0

    @property
    def sent(self) -> int:
        return self.rows.total() + self.unanswered

    def statuses(self, story: str | None = None) -> Counter[int]:
        """Answers by status, of one story or of all."""
        found: Counter[int] = Counter()
        for (of, _, _, status), count in self.rows.items():
            if story in {None, of}:
                found[status] += count
        return found

    def by_route(self) -> Counter[tuple[str, str, int]]:
        """Answers by (template, method, status), as the service's metrics have them."""
        found: Counter[tuple[str, str, int]] = Counter()
        for (_, template, method, status), count in self.rows.items():
            found[template, method, status] += count
        return found

    def by_story(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for (story, _, _, _), count in self.rows.items():
            found[story] += count
        return found


class Driver:
    """Sends ordinary traffic at a steady rate, and beside it what a story asks for.

    Args:
        url: Of the service; another one from the moment it is set.
        per_second: Ordinary requests a second.
        seed: The same seed draws the same kinds of requests from the same addresses.
    """

    def __init__(self, url: str, per_second: float = PER_SECOND, seed: int = 1) -> None:
        self.url = url
        self.ledger = Ledger()
        self.story = "normal"
        self.mix = ORDINARY
        self.per_second = per_second
        self.dice = random.Random(seed)  # noqa: S311  # traffic, not secrets
        self._client = httpx.AsyncClient(
            timeout=_ANSWER_SECONDS, limits=httpx.Limits(max_connections=_CONNECTIONS), trust_env=False
        )
        self._items: deque[int] = deque(maxlen=_KNOWN_ITEMS)
        self._due: set[asyncio.Task[httpx.Response | None]] = set()

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Ordinary traffic while the block lasts; then, unless it fails, answers that are still due are waited for."""
        steady = asyncio.create_task(self._steady())
        patience = 0.0
        try:
            yield
            patience = _DRAIN_SECONDS
        finally:
            steady.cancel()
            await asyncio.gather(steady, return_exceptions=True)
            if self._due:
                await asyncio.wait(self._due, timeout=patience)
            for task in self._due:
                task.cancel()
            await asyncio.gather(*self._due, return_exceptions=True)
            await self._client.aclose()

    async def send(self, call: Call, address: str) -> httpx.Response | None:
        """One request and its answer; None, and counted as unanswered, where there is none.

        Whoever asked may be cancelled: the answer is waited for and counted all the same.

        Args:
            call: The request.
            address: Whose it is, as a load balancer before the service would write it into `X-Forwarded-For`.
        """
        return await asyncio.shield(self._begin(call, address))

    def _begin(self, call: Call, address: str) -> asyncio.Task[httpx.Response | None]:
        task = asyncio.create_task(self._answer(call, address, self.story))
        self._due.add(task)
        task.add_done_callback(self._due.discard)
        return task

    async def _steady(self) -> None:
        while True:
            self._begin(draw(self.mix, self.dice, self._items), visitor(self.dice))
            await asyncio.sleep(1.0 / self.per_second)

    async def _answer(self, call: Call, address: str, story: str) -> httpx.Response | None:
        headers = {"user-agent": f"demo/{story}", "x-forwarded-for": address}
        if call.token:
            headers["authorization"] = f"Bearer {call.token}"
        url = self.url + (call.path or call.template)
        try:
            answer = await self._client.request(call.method, url, json=call.body, headers=headers)
        except (httpx.HTTPError, asyncio.CancelledError):
            self.ledger.unanswered += 1
            return None
        self.ledger.rows[story, call.template, call.method, answer.status_code] += 1
        if call.template == ITEMS and answer.status_code == HTTPStatus.CREATED:
            self._items.append(answer.json()["id"])
        return answer
