"""Lockouts after too many failed logins, of an account and of an address.

An attempt is counted before the password is looked at, and given back when it was right: a hundred guesses at the same
time get no more answers than a hundred one after the other. Accounts that do not exist are locked like others.
"""

import hashlib
import time
from dataclasses import dataclass

from ...core import metrics_client
from ...middleware.counters import Counters, Store

lockouts = metrics_client.counter("brute_force_lockouts_total")


@dataclass(frozen=True, slots=True)
class Rules:
    attempts_per_account: int
    attempts_per_address: int
    window_seconds: int
    lockout_seconds: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What stands in the way of one attempt.

    Attributes:
        account: Whether the account is locked.
        address_seconds: For how many seconds more the address is; 0: it is not.
        begun: Which lockouts this attempt has begun.
    """

    account: bool
    address_seconds: int
    begun: tuple[str, ...]


class Lockouts:
    def __init__(self, counters: Counters, rules: Rules) -> None:
        self._counters = counters
        self._rules = rules

    async def attempt(self, account: str, address: str, subject: str) -> Attempt:
        """Count an attempt.

        Args:
            account: The e-mail address, in its one spelling.
            address: Who asks, for the metrics.
            subject: Who asks, as limits count them: an IPv6 client by its network.
        """
        rules = self._rules
        by_address, began_address = await self._count(f"address:{subject}", rules.attempts_per_address)
        if by_address:
            if began_address:
                lockouts.labels(ip_address=address, account="").add()
            return Attempt(account=False, address_seconds=by_address, begun=("address",) if began_address else ())
        by_account, began_account = await self._count(_key(account), rules.attempts_per_account)
        if began_account:
            lockouts.labels(ip_address=address, email=account).add()
        return Attempt(account=by_account > 0, address_seconds=0, begun=("account",) if began_account else ())

    async def succeeded(self, account: str, subject: str) -> None:
        """The password was right: the account's failures are forgotten, and this was none of the address's."""

        async def forgive(store: Store) -> None:
            await store.clear(_attempts(_key(account)))
            await store.incr(_attempts(f"address:{subject}"), self._rules.window_seconds, -1)

        await self._counters.ask(forgive)

    async def undo(self, account: str, subject: str) -> None:
        """The password was not looked at after all."""

        async def give_back(store: Store) -> None:
            for key in (_key(account), f"address:{subject}"):
                await store.incr(_attempts(key), self._rules.window_seconds, -1)

        await self._counters.ask(give_back)

    async def lift(self, account: str) -> None:
        """Unlock an account."""

        async def lift(store: Store) -> None:
            await store.clear(_attempts(_key(account)))
            await store.clear(_lock(_key(account)))

        await self._counters.ask(lift)

    async def _count(self, key: str, most: int) -> tuple[int, bool]:
        """Seconds that it is locked, rounded up, and whether that began now."""
        rules = self._rules

        async def count(store: Store) -> tuple[int, bool]:
            if await store.get(_lock(key)):
                return await _seconds_left(store, _lock(key)), False
            if await store.incr(_attempts(key), rules.window_seconds) <= most:
                return 0, False
            began = await store.incr(_lock(key), rules.lockout_seconds) == 1
            await store.clear(_attempts(key))  # after the lockout they count from zero
            return rules.lockout_seconds, began

        return await self._counters.ask(count)


async def _seconds_left(store: Store, key: str) -> int:
    return max(1, round(await store.get_expiry(key) - time.time() + 0.5))


def _key(account: str) -> str:
    # Redis need not know who has an account.
    return f"account:{hashlib.sha256(account.encode()).hexdigest()}"


def _attempts(key: str) -> str:
    return f"login-attempts/{key}"


def _lock(key: str) -> str:
    return f"login-lock/{key}"
