"""How benchmarks of requests measure: apps take turns in one process, and each turn is paired with the bare app's.

A few requests a turn, in random order, so that whatever the machine is doing hits all; time is the process's own CPU
time. What comes out is a ratio of two costs with its 90 % interval by resampling; absolute times differ from machine to
machine.
"""

import asyncio
import gc
import random
import statistics
from collections.abc import Callable, Mapping
from time import process_time
from typing import Any, Final

from fastapi import FastAPI

#: Requests in one turn.
REQUESTS: Final = 20
_TRACE: Final = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
_HEADERS: Final = [
    (b"host", b"items-abc.a.run.app"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0"),
    (b"accept", b"*/*"),
    (b"x-forwarded-for", b"203.0.113.7"),
]


def every_one(_number: int) -> bool:
    """The caller has sampled all requests."""
    return True


def one_in_ten(number: int) -> bool:
    return number % 10 == 0


async def turn(app: FastAPI, sampled: Callable[[int], bool] = every_one) -> float:
    """CPU seconds of one turn.

    Args:
        app: Has a route `/items/{item_id}`.
        sampled: Whether the caller of a request has sampled its trace.
    """

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    began = process_time()
    for number in range(REQUESTS):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/items/{number}",
            "raw_path": b"/items/1",
            "query_string": b"",
            "root_path": "",
            "headers": [*_HEADERS, (b"traceparent", _TRACE + (b"01" if sampled(number) else b"00"))],
            "client": ("10.0.0.1", 50000),
            "server": ("10.0.0.2", 8080),
            "state": {},
        }
        await asyncio.create_task(app(scope, receive, send))  # one task a request, as servers do
    return process_time() - began


async def measure(
    reference: FastAPI,
    apps: Mapping[str, FastAPI],
    rounds: int,
    seed: int,
    sampled: Callable[[int], bool] = every_one,
) -> dict[str, list[float]]:
    """Added CPU seconds a request over the reference, a figure for each round."""
    dice = random.Random(seed)  # an order, not a secret
    for app in (reference, *apps.values()):
        for _ in range(20):
            await turn(app, sampled)
    gc.collect()
    gc.freeze()
    added: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(rounds):
        order = list(apps.items())
        dice.shuffle(order)
        for name, app in order:
            before, with_it, after = [await turn(one, sampled) for one in (reference, app, reference)]
            added[name].append((with_it - (before + after) / 2) / REQUESTS)
    return added


def ratio(added: list[float], peers: list[float], seed: int) -> tuple[float, float, float]:
    """Median cost of one in units of the other, with the 5th and 95th percentile of 1,000 resamples."""
    dice = random.Random(seed)  # resampling
    count = len(added)
    resampled = sorted(
        statistics.median(dice.choices(added, k=count)) / statistics.median(dice.choices(peers, k=count))
        for _ in range(1000)
    )
    return statistics.median(added) / statistics.median(peers), resampled[50], resampled[949]
