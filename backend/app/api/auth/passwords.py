"""Passwords: hashed with Argon2 in threads of their own, a bounded number at a time."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

Given = TypeVarTuple("Given")
Answer = TypeVar("Answer")

# Each waits for a thread; more than these would wait longer than their client does.
_MOST_WAITING: Final = 64


class BusyError(Exception):
    """So many passwords wait to be hashed that this one would wait in vain."""


class Passwords:
    """Hashes and verifies.

    Args:
        passes: Argon2's time cost.
        memory_kib: Its memory cost.
        workers: Hashes computed at a time.
    """

    def __init__(self, passes: int, memory_kib: int, workers: int) -> None:
        self._hash = PasswordHash((Argon2Hasher(time_cost=passes, memory_cost=memory_kib, parallelism=1),))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._waiting = 0
        # Who does not exist has a password, too: it takes as long to refuse them.
        self._decoy = self._hash.hash(secrets.token_urlsafe(24))

    async def hash(self, password: str) -> str:
        """Raises BusyError."""
        return await self._in_thread(self._hash.hash, password)

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether it is the password, and a new hash of it where the stored one is of older costs. None never is.

        Raises:
            BusyError: Too many wait already.
        """
        right, better = await self._in_thread(self._hash.verify_and_update, password, stored or self._decoy)
        return right and stored is not None, better

    async def _in_thread(self, function: Callable[[*Given], Answer], *arguments: *Given) -> Answer:
        if self._waiting >= _MOST_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
