"""Feature switches: kept in the database, known to every process within seconds."""

import time
from collections.abc import Callable
from typing import Final, Literal, get_args

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from .database.models import Switch

Feature = Literal["registration", "content", "faults"]
FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)
_FRESH_SECONDS: Final = 2.0


class Features:
    """All are on by default, but that `faults` (trouble on demand) is only on where nobody relies on the service.

    Args:
        database: Keeps what was switched.
        faults: Its default.
        monotonic: Time by which what was read ages.
    """

    def __init__(
        self,
        database: async_sessionmaker[AsyncSession],
        *,
        faults: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._defaults: dict[Feature, bool] = dict.fromkeys(FEATURES, True) | {"faults": faults}
        self._monotonic = monotonic
        self._known: dict[str, bool] = {}
        self._read_at: float | None = None

    async def all(self) -> dict[Feature, bool]:
        now = self._monotonic()
        if self._read_at is None or now - self._read_at > _FRESH_SECONDS:
            async with self._database() as database:
                self._known = {switch.name: switch.on for switch in await database.scalars(select(Switch))}
            self._read_at = now
        return {name: self._known.get(name, default) for name, default in self._defaults.items()}

    async def on(self, name: Feature) -> bool:
        return (await self.all())[name]

    async def switch(self, name: Feature, *, on: bool) -> None:
        async with self._database.begin() as database:
            await database.merge(Switch(name=name, on=on))
        self._read_at = None
