from typing import Any

import pytest

from app.core.propagation import outgoing_headers, request_context
from support.recording import HERE

aiohttp: Any = pytest.importorskip("aiohttp", reason="aiohttp is not installed: pip install aiohttp")

ID = "x-request-id"
JOB = request_context(request_id="req-1")


@pytest.fixture
async def session():
    from app.core.propagation.aiohttp import aiohttp_trace_config  # noqa: PLC0415  # it needs aiohttp

    async with aiohttp.ClientSession(trace_configs=[aiohttp_trace_config([HERE])]) as session:
        yield session


async def test_a_named_host_gets_the_ids(session, ours):
    with JOB:
        async with session.get(ours.url):
            [seen] = ours.seen
        assert {name: seen.get_all(name) for name in outgoing_headers()} == {
            name: [value] for name, value in outgoing_headers().items()
        }


async def test_a_host_that_is_not_named_gets_nothing(session, foreign):
    with JOB:
        async with session.get(foreign.url):
            assert foreign.seen[0][ID] is foreign.seen[0]["traceparent"] is None


async def test_outside_of_a_request_nothing_is_sent(session, ours):
    async with session.get(ours.url):
        assert ours.seen[0][ID] is None


async def test_a_redirect_to_a_foreign_host_goes_without_the_ids_and_one_back_has_them(session, ours, foreign):
    with JOB:
        async with session.get(ours.redirecting_to(foreign.url, ours.url)):
            pass
        assert [seen[ID] for seen in ours.seen] == ["req-1", "req-1"]
        assert [seen[ID] for seen in foreign.seen] == [None]
        assert [seen["traceparent"] for seen in foreign.seen] == [None]


async def test_a_redirect_without_scheme_or_host_is_followed_as_aiohttp_follows_it(session, ours, foreign):
    with JOB:
        for target in ("/", "?q", foreign.url.removeprefix("http:")):
            async with session.get(ours.redirecting_to(target)):
                pass
        assert [seen[ID] for seen in ours.seen] == ["req-1"] * 5
        assert [seen[ID] for seen in foreign.seen] == [None]


async def test_a_redirect_to_nowhere_fails_as_it_would_without_us(session, ours):
    with JOB, pytest.raises(aiohttp.InvalidUrlRedirectClientError):
        await session.get(ours.redirecting_to("http://[broken"))


async def test_a_header_that_the_caller_sets_is_left_alone(session, ours, foreign):
    with JOB:
        async with session.get(ours.redirecting_to(foreign.url), headers={"X-Request-Id": "of-the-caller"}):
            pass
        assert [seen.get_all(ID) for seen in ours.seen + foreign.seen] == [["of-the-caller"]] * 2
        assert foreign.seen[0]["traceparent"] is None
