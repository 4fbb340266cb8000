"""What is done for each story: by real requests, a real lock and a real second revision; no figure is made up."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import httpx

from .line import Line
from .traffic import API, ITEMS, PER_SECOND, Call, Driver, visitor

#: What a story does, from its beginning until the block is left.
Act = Callable[[Line], AbstractAsyncContextManager[None]]

# RFC 5737: two addresses that nobody has.
ATTACKER: Final = "203.0.113.66"
FLOODER: Final = "203.0.113.99"
_PASSWORD: Final = "correct horse battery staple"  # noqa: S105  # of people who do not exist
_GUESSES: Final = ("123456", "password", "qwerty", "letmein", "iloveyou", "dragon")
_NEWCOMERS: Final = 4
_VICTIMS: Final = 6
# 300 of a minute are within the demo's limit for one address; the others are refused.
_FLOOD: Final = 1450
_FLOODS_AT_ONCE: Final = 10
_FLOOD_PAUSE: Final = 0.04
# More than the connections that the service's pool may have (SQLAlchemy: five, and ten more under load).
_SIGNED_IN: Final = 24
_SIGN_INS_AT_ONCE: Final = 4
# Below the five seconds after which the service gives up waiting for a lock (DATABASE_TIMEOUT).
_LOCKED_SECONDS: Final = 2.6
_FREE_SECONDS: Final = 0.5
_TRY_SECONDS: Final = 0.01
# Shorter than the time without a lock, so that nearly everybody is there again when the next one begins.
_PAUSE_SECONDS: Final = 0.4
# Ordinary requests a second while the batch job runs, and while the bad revision is out.
_AT_NIGHT: Final = 4.0
_BUSY: Final = 30.0


@contextlib.asynccontextmanager
async def _beside(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do this while the block lasts."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


def normal(line: Line) -> AbstractAsyncContextManager[None]:
    """Beside the steady traffic some people sign up, sign in and ask who they are."""
    return _beside(*(_come(line.driver, f"person{number}@example.com") for number in range(_NEWCOMERS)))


async def _come(driver: Driver, email: str) -> None:
    address = visitor(driver.dice)
    token = await _sign_in(driver, email, address)
    while token:
        await driver.send(Call("GET", f"{API}/auth/me", token=token["access_token"]), address)
        await asyncio.sleep(1.0)


async def _sign_in(driver: Driver, email: str, address: str) -> dict[str, str]:
    """Make an account and open a session: its tokens, or nothing."""
    body = {"email": email, "password": _PASSWORD}
    await driver.send(Call("POST", f"{API}/auth/register", body=body), address)
    return _tokens(await driver.send(Call("POST", f"{API}/auth/login", body=body), address))


def _tokens(answer: httpx.Response | None) -> dict[str, str]:
    return dict(answer.json()) if answer is not None and answer.is_success else {}


def brute_force(line: Line) -> AbstractAsyncContextManager[None]:
    return _beside(_guess(line.driver))


async def _guess(driver: Driver) -> None:
    """One after the other, as a script does it: the sixth wrong password locks an account, the 31st the address."""
    for victim in range(_VICTIMS):
        for password in _GUESSES:
            body = {"email": f"person{victim}@example.com", "password": password}
            await driver.send(Call("POST", f"{API}/auth/login", body=body), ATTACKER)


def flood(line: Line) -> AbstractAsyncContextManager[None]:
    return _beside(*(_flood(line.driver) for _ in range(_FLOODS_AT_ONCE)))


async def _flood(driver: Driver) -> None:
    for _ in range(_FLOOD // _FLOODS_AT_ONCE):
        await driver.send(Call("GET", ITEMS), FLOODER)
        await asyncio.sleep(_FLOOD_PAUSE)


def slow_database(line: Line) -> AbstractAsyncContextManager[None]:
    line.driver.per_second = _AT_NIGHT
    emails = [f"reader{number}@example.com" for number in range(_SIGNED_IN)]
    return _beside(_signed_in_while_locked(line.driver, line.database, emails))


async def _signed_in_while_locked(driver: Driver, database: Path, emails: list[str]) -> None:
    people = [f"192.0.2.{number}" for number in range(1, len(emails) + 1)]  # RFC 5737 too
    places = asyncio.Semaphore(_SIGN_INS_AT_ONCE)  # passwords are hashed two at a time, and few may wait

    async def sign_in(email: str, address: str) -> dict[str, str]:
        async with places:
            return await _sign_in(driver, email, address)

    tokens = await asyncio.gather(*map(sign_in, emails, people))
    async with asyncio.TaskGroup() as group:
        group.create_task(hold_the_write_lock(database))
        for address, token in zip(people, tokens, strict=True):
            group.create_task(_stay_signed_in(driver, address, token))


async def _stay_signed_in(driver: Driver, address: str, tokens: dict[str, str]) -> None:
    """Renew the session again and again, each time with the token that the time before gave."""
    while tokens:
        body = {"refresh_token": tokens["refresh_token"]}
        renewed = _tokens(await driver.send(Call("POST", f"{API}/auth/refresh", body=body), address))
        tokens = renewed or tokens  # where the database did not answer, the one from before is still good
        await asyncio.sleep(_PAUSE_SECONDS)


async def hold_the_write_lock(database: Path, locked: float = _LOCKED_SECONDS, free: float = _FREE_SECONDS) -> None:
    """What a batch job with long transactions does to everybody else who writes."""
    with contextlib.closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
        while True:
            if _locked(connection):
                await asyncio.sleep(locked)
                connection.execute("COMMIT")
                await asyncio.sleep(free)
            else:
                await asyncio.sleep(_TRY_SECONDS)


def _locked(connection: sqlite3.Connection) -> bool:
    """Whether the lock is ours now; for the moment it may be somebody else's."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


def bad_deploy(line: Line) -> AbstractAsyncContextManager[None]:
    return _beside(_deploy(line))


async def _deploy(line: Line) -> None:
    line.driver.url = await line.start_revision("demo.bad_release:app")
    line.driver.per_second = _BUSY


@contextlib.asynccontextmanager
async def recovery(line: Line) -> AsyncIterator[None]:
    line.driver.url, line.driver.per_second = line.service_url, PER_SECOND
    async with _beside(line.stop_revisions()):
        yield


ACTS: Final[Mapping[str, Act]] = {
    "normal": normal,
    "brute_force": brute_force,
    "flood": flood,
    "slow_database": slow_database,
    "bad_deploy": bad_deploy,
    "recovery": recovery,
}
