from typing import Any

import httpx
import pytest

from app.core.propagation import headers as outgoing
from app.core.propagation import outgoing_headers, request_context
from app.core.propagation.httpx import propagate_httpx
from support.recording import HERE

ID = "x-request-id"
JOB = request_context(request_id="req-1")


class _Sync:
    """A synchronous client behind the asynchronous face, so that both kinds run the same tests."""

    def __init__(self, **options: Any) -> None:
        self.plain = httpx.Client(**options)

    async def get(self, *args: Any, **options: Any) -> httpx.Response:
        return self.plain.get(*args, **options)

    async def send(self, request: httpx.Request) -> httpx.Response:
        return self.plain.send(request)

    async def aclose(self) -> None:
        self.plain.close()


class _Async(_Sync):
    def __init__(self, **options: Any) -> None:
        self.plain: Any = httpx.AsyncClient(**options)

    async def get(self, *args: Any, **options: Any) -> httpx.Response:
        answer: httpx.Response = await self.plain.get(*args, **options)
        return answer

    async def send(self, request: httpx.Request) -> httpx.Response:
        answer: httpx.Response = await self.plain.send(request)
        return answer

    async def aclose(self) -> None:
        await self.plain.aclose()


@pytest.fixture(params=[_Sync, _Async])
async def client(request):
    client = request.param(follow_redirects=True, trust_env=False)
    yield client
    await client.aclose()


async def test_a_named_host_gets_the_ids(client, ours):
    with JOB:
        assert propagate_httpx(client.plain, [HERE]) is client.plain
        await client.get(ours.url)
        [seen] = ours.seen
        assert {name: seen.get_all(name) for name in outgoing_headers()} == {
            name: [value] for name, value in outgoing_headers().items()
        }


async def test_a_host_that_is_not_named_gets_nothing(client, foreign):
    with JOB:
        propagate_httpx(client.plain, [HERE])
        await client.get(foreign.url)
        assert foreign.seen[0][ID] is foreign.seen[0]["traceparent"] is None


async def test_nobody_is_named_by_default(client, ours):
    with JOB:
        propagate_httpx(client.plain, [])
        await client.get(ours.url)
        assert ours.seen[0][ID] is None


async def test_outside_of_a_request_nothing_is_sent(client, ours):
    propagate_httpx(client.plain, [HERE])
    await client.get(ours.url)
    assert ours.seen[0][ID] is None


async def test_a_redirect_to_a_foreign_host_goes_without_the_ids_and_one_back_has_them(client, ours, foreign):
    with JOB:
        propagate_httpx(client.plain, [HERE])
        await client.get(ours.redirecting_to(foreign.url, ours.url))
        assert [seen[ID] for seen in ours.seen] == ["req-1", "req-1"]
        assert [seen[ID] for seen in foreign.seen] == [None]
        assert [seen["traceparent"] for seen in foreign.seen] == [None]


async def test_a_redirect_that_the_caller_follows_by_hand_goes_without_them_as_well(client, ours, foreign):
    with JOB:
        propagate_httpx(client.plain, [HERE])
        answer = await client.get(ours.redirecting_to(foreign.url), follow_redirects=False)
        assert answer.next_request is not None
        await client.send(answer.next_request)
        assert ours.seen[0][ID] == "req-1"
        assert foreign.seen[0][ID] is None


async def test_a_header_that_the_caller_sets_is_left_alone(client, ours, foreign):
    with JOB:
        propagate_httpx(client.plain, [HERE])
        await client.get(ours.redirecting_to(foreign.url), headers={ID: "of-the-caller"})
        assert [seen.get_all(ID) for seen in ours.seen + foreign.seen] == [["of-the-caller"]] * 2
        assert ours.seen[0]["traceparent"] is not None
        assert foreign.seen[0]["traceparent"] is None


async def test_asked_again_the_client_knows_more_hosts(client, ours, foreign):
    with JOB:
        propagate_httpx(client.plain, [HERE])
        propagate_httpx(client.plain, "127.0.0.2")
        await client.get(ours.redirecting_to(foreign.url))
        assert [seen.get_all(ID) for seen in ours.seen + foreign.seen] == [["req-1"]] * 2


async def test_the_host_is_the_one_that_is_called_not_one_that_the_url_shows(client, foreign):
    with JOB:
        propagate_httpx(client.plain, [HERE])
        await client.get(foreign.url.replace("http://", f"http://{HERE}@"))
        assert foreign.seen[0][ID] is None


async def test_a_failure_of_ours_does_not_fail_the_call(client, ours, monkeypatch, internal_failures):
    with JOB:

        def broken(_context: object) -> str:
            raise RuntimeError("planted")

        propagate_httpx(client.plain, [HERE])
        monkeypatch.setattr(outgoing, "traceparent", broken)
        assert (await client.get(ours.url)).status_code == 200
        assert [(where, str(error)) for where, error in internal_failures] == [("propagation", "planted")]
        internal_failures.clear()
