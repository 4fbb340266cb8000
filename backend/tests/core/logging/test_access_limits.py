"""What is bound to a request neither breaks its access entry nor makes it too long."""

import json

import pytest
from fastapi import FastAPI

from app.core import ReservedFieldError, bind
from app.core.logging.limits import LINE_BYTES
from support.service import observed


async def _entry_of_a_request_with(**fields):
    app = FastAPI()

    @app.get("/")
    async def root() -> None:
        bind(**fields)

    with observed(app) as service:
        async with service.client() as client:
            assert (await client.get("/")).status_code == 200
        [line] = [line for line in service.lines if b'"httpRequest"' in line]
    return line


async def test_long_bound_fields_are_shortened_and_the_rest_of_the_entry_stays():
    line = await _entry_of_a_request_with(a="x" * 200_000, b="y" * 200_000)
    entry = json.loads(line)
    assert len(line) <= LINE_BYTES
    assert entry["httpRequest"]["status"] == 200
    assert entry["logging.googleapis.com/labels"]["service"] == "items"
    assert entry["truncated"]["original_bytes"] > 200_000


@pytest.mark.parametrize("name", ["cold_start", "worst_severity", "time_to_first_byte", "background_seconds"])
def test_a_field_that_the_access_entry_has_cannot_be_bound(name):
    with pytest.raises(ReservedFieldError, match=name):
        bind(**{name: 1})


async def test_the_entries_of_the_first_request_say_so():
    app = FastAPI()

    @app.get("/")
    async def root() -> None:
        raise KeyError("first")

    for access_log in ("all", "off"):
        with observed(app := FastAPI(), access_log=access_log) as service:
            app.get("/")(root)
            async with service.client() as client:
                await client.get("/")
                first = service.entries
                await client.get("/")
                second = service.entries[len(first) :]
        assert first
        assert all(entry["cold_start"] is True for entry in first)
        assert second
        assert not any("cold_start" in entry for entry in second)
