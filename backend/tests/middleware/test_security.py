import asyncio
import re

import pytest

from app.core import SettingsError
from app.middleware.counters import Counters
from app.middleware.limiter import Limiter
from app.middleware.policies import Policies
from app.middleware.security import Templates, subject_of
from support.databases import redis_server
from support.provenance import known_from
from support.reference_service import API, reference_service

TIGHT = {"default": "3/minute"}


@known_from(docs="https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/")
async def test_every_answer_says_what_holds_and_what_is_left():
    async with reference_service(rate_limits={"default": "3/minute;100/hour"}) as service, service.client() as client:
        left = []
        for _ in range(3):
            answer = await client.get(f"{API}/items")
            assert answer.headers["ratelimit-policy"] == '"default";q=3;w=60, "default-2";q=100;w=3600'
            match = re.fullmatch(r'"default";r=(\d+);t=(\d+), "default-2";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
            assert match is not None, answer.headers["ratelimit"]
            left.append(int(match[1]))
            assert 0 < int(match[2]) <= 120
        assert left == [2, 1, 0]


async def test_who_exceeds_a_limit_is_told_which_and_when_to_come_back():
    async with reference_service(rate_limits=TIGHT) as service, service.client() as client:
        for _ in range(3):
            assert (await client.get(f"{API}/items")).status_code == 200
        refused = await client.get(f"{API}/items")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        body = refused.json()
        assert (body["policy"], body["quota"], body["window_seconds"]) == ("default", 3, 60)
        assert refused.headers["retry-after"] == str(body["retry_after_seconds"])
        assert refused.headers["ratelimit"].startswith('"default";r=0;t=')
        assert refused.headers["x-request-id"]
        entry = [one for one in service.entries if "httpRequest" in one][-1]
        assert (entry["outcome"], entry["route"]) == ("shed", f"{API}/items")
        assert service.counted("rate_limit_hits_total", f"{API}/items", "203.0.113.7") == 4
        assert service.counted("rate_limit_exceeded_total", f"{API}/items", "203.0.113.7") == 1


async def test_another_address_has_limits_of_its_own_but_a_claimed_one_has_not():
    async with reference_service(rate_limits=TIGHT) as service:
        async with service.client() as client:
            for number in range(4):
                answer = await client.get(f"{API}/items", headers={"x-forwarded-for": f"192.0.2.{number}"})
            assert answer.status_code == 429
        async with service.client("203.0.113.8") as client:
            assert (await client.get(f"{API}/items")).status_code == 200


async def test_users_behind_one_address_have_limits_of_their_own_and_a_forged_token_gives_none():
    async with reference_service(rate_limits={"content": "2/minute"}) as service, service.client() as client:
        for email in ("ada@example.com", "bob@example.com"):
            headers = await service.signed_in(client, email)
            codes = [
                (await client.post(f"{API}/content", json={"topic": "bees"}, headers=headers)).status_code
                for _ in range(3)
            ]
            assert codes == [202, 202, 429]
        codes = []
        for number in range(3):
            forged = {"authorization": f"Bearer forged-{number}"}
            codes.append((await client.post(f"{API}/content", json={"topic": "x"}, headers=forged)).status_code)
        assert codes == [401, 401, 429]


async def test_probes_are_never_limited():
    async with reference_service(rate_limits={"default": "1/minute"}) as service, service.client() as client:
        answers = [await client.get("/health/live") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert "ratelimit" not in answers[0].headers


async def test_paths_of_one_route_share_its_series_and_what_has_no_route_is_limited_too():
    async with reference_service(rate_limits=TIGHT) as service, service.client() as client:
        codes = [(await client.get(f"{API}/items/{number}")).status_code for number in (10**9, 10**9 + 1)]
        codes += [(await client.get(f"/nowhere/{number}")).status_code for number in range(2)]
        assert codes == [404, 404, 404, 429]
        assert service.counted("rate_limit_hits_total", f"{API}/items/{{item_id}}") == 2


async def test_without_limits_there_are_none():
    settings = {"rate_limiting": False, "rate_limits": {"default": "1/minute"}}
    async with reference_service(**settings) as service, service.client() as client:
        assert [(await client.get(f"{API}/items")).status_code for _ in range(3)] == [200] * 3


def test_settings_name_policies_and_limits_that_exist():
    with pytest.raises(ValueError, match="RATE_LIMITS names no policy: sign-in; there are default, login"):
        Policies({"sign-in": "1/minute"})


async def test_limits_that_cannot_be_read_stop_the_start():
    with pytest.raises(SettingsError, match="RATE_LIMITS"):
        async with reference_service(rate_limits={"login": "often"}):
            pass


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_an_address_is_counted_as(address, subject):
    assert subject_of(address) == subject


def test_a_path_has_the_template_that_routing_would_find():
    templates = Templates({"/items", "/items/{item_id}", "/files/{path:path}"})
    assert [templates.of(path) for path in ("/items", "/items/7", "/items/7/x", "/files/a/b")] == [
        "/items",
        "/items/{item_id}",
        "",
        "/files/{path:path}",
    ]


async def test_of_requests_at_the_same_time_no_more_are_let_through_than_the_quota():
    limiter = Limiter(Counters(None, 1.0))
    policy = Policies({"login": "10/hour"}).of("POST", f"{API}/auth/login")
    verdicts = await asyncio.gather(*(limiter.check(policy, "address:192.0.2.7") for _ in range(50)))
    assert sum(verdict.allowed for verdict in verdicts) == 10


# With Redis


async def test_processes_share_their_limits_through_redis():
    with redis_server() as port:
        settings = {"redis_url": f"redis://127.0.0.1:{port}", "rate_limits": TIGHT, "redis_timeout": 5.0}
        async with reference_service(**settings) as one, reference_service(**settings) as other:
            codes = []
            for service in (one, other, one, other):
                async with service.client() as client:
                    codes.append((await client.get(f"{API}/items")).status_code)
            assert codes == [200, 200, 200, 429]


async def test_a_lockout_holds_in_every_process():
    with redis_server() as port:
        settings = {"redis_url": f"redis://127.0.0.1:{port}", "login_attempts_per_account": 2, "redis_timeout": 5.0}
        async with reference_service(**settings) as one, reference_service(**settings) as other:
            async with one.client() as client:
                for _ in range(3):
                    await one.login(client, "ada@example.com", "wrong")
            async with other.client() as client:
                await other.register(client, "ada@example.com")
                assert (await other.login(client, "ada@example.com")).status_code == 401
                assert other.counted("auth_login_failures_total", "account_locked") >= 1


async def test_redis_killed_under_load_costs_no_request_and_limits_go_on_in_the_process():
    with redis_server() as port:
        settings = {
            "redis_url": f"redis://127.0.0.1:{port}",
            "rate_limits": {"default": "40/minute"},
            "content_workers": 0,
        }
        async with reference_service(**settings) as service, service.client() as client:
            codes: list[int] = []
            begun = asyncio.Event()

            async def load() -> None:
                for _ in range(20):
                    codes.append((await client.get(f"{API}/items")).status_code)
                    if len(codes) == 10:
                        begun.set()

            running = [asyncio.create_task(load()) for _ in range(5)]
            await begun.wait()
            await _shut_down(port)
            await asyncio.gather(*running)
            assert set(codes) <= {200, 429}
            assert 40 <= codes.count(200) <= 80  # a quota of Redis's, and at the most one of the process's
            assert codes[-1] == 429
            # Refused, or given up while the client tried again: in either way it is counted.
            assert service.counted("redis_errors_total") + service.counted("timeouts_total", "counters") >= 1
            assert len([one for one in service.entries if one.get("logger") == "counters"]) == 1
            [limits] = [one for one in await _results(service) if one.check.name == "limits"]
            assert limits.status == "degraded"
            ready = await client.get("/health/ready")
            assert (ready.status_code, ready.json()["status"]) == (200, "warn")


async def test_a_redis_that_hangs_is_given_up_in_time_and_counted_and_used_again_when_it_answers():
    with redis_server() as port:
        settings = {"redis_url": f"redis://127.0.0.1:{port}", "content_workers": 0, "redis_timeout": 0.5}
        async with reference_service(**settings) as service, service.client() as client:
            await client.get(f"{API}/items")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"CLIENT PAUSE 1500 ALL\r\n")
            await writer.drain()
            await reader.readline()
            assert (await client.get(f"{API}/items")).status_code == 200
            assert service.counted("timeouts_total", "counters") == 1
            assert service.parts.counters.degraded
            for _ in range(200):
                await client.get(f"{API}/items")
                if not service.parts.counters.degraded:
                    break
                await asyncio.sleep(0.1)
            assert not service.parts.counters.degraded
            writer.close()


async def _results(service):
    return await service.app.state.observability.health.results()


async def _shut_down(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"SHUTDOWN NOSAVE\r\n")
    await writer.drain()
    writer.close()
