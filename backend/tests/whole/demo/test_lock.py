"""The slow database is a real one: a transaction that does not end."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from demo.acts import hold_the_write_lock
from support.waiting import wait_until_async


async def test_whoever_writes_waits_and_whoever_reads_does_not(tmp_path):
    file = tmp_path / "service.db"
    with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE t (x)")
        holding = asyncio.create_task(hold_the_write_lock(file, locked=0.3, free=0.05))

        def refused() -> bool:
            try:
                other.execute("INSERT INTO t VALUES (1)")
            except sqlite3.OperationalError as error:
                return "locked" in str(error)
            return False

        await wait_until_async(refused, what="a write is refused")
        assert other.execute("SELECT count(*) FROM t").fetchone()
        await wait_until_async(lambda: not refused(), what="a write between two turns of the batch job")
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding
        assert not refused()
