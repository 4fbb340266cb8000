import asyncio

import pytest

from support.reference_service import API, PASSWORD, reference_service


async def test_a_hundred_guesses_at_the_same_time_get_no_more_answers_than_one_after_the_other():
    settings = {"login_attempts_per_account": 5, "login_attempts_per_address": 1000, "password_workers": 8}
    limits = {"login": "1000/minute"}
    async with reference_service(rate_limits=limits, **settings) as service, service.client() as client:
        await service.register(client, "ada@example.com")
        await asyncio.gather(*(service.login(client, "ada@example.com", f"guess {number}") for number in range(50)))
        assert service.counted("auth_login_failures_total", "invalid_password") == 5
        assert service.counted("auth_login_failures_total", "account_locked") == 45
        assert service.counted("brute_force_lockouts_total") == 1
        assert (await service.login(client, "ada@example.com")).status_code == 401
        [entry] = service.audited("lockout_began")
        assert (entry["scope"], entry["account"][:2]) == ("account", "h:")


async def test_spelling_the_account_otherwise_is_the_same_account():
    async with reference_service(login_attempts_per_account=2) as service, service.client() as client:
        await service.register(client, "ada@example.com")
        for email in ("ADA@example.com", " ada@example.com", "\uff41da@example.com"):
            await service.login(client, email, "wrong")
        assert (await service.login(client, "ada@example.com")).status_code == 401
        assert service.counted("brute_force_lockouts_total") == 1


async def test_from_many_addresses_the_account_is_locked_all_the_same():
    async with reference_service(login_attempts_per_account=3) as service:
        async with service.client() as client:
            await service.register(client, "ada@example.com")
        for number in range(4):
            async with service.client(f"198.51.100.{number}") as client:
                await service.login(client, "ada@example.com", "wrong")
        async with service.client() as client:
            assert (await service.login(client, "ada@example.com")).status_code == 401


async def test_an_address_that_tries_many_accounts_is_told_to_wait_whatever_it_claims_to_be():
    async with reference_service(login_attempts_per_address=5) as service, service.client() as client:
        answers = []
        for number in range(8):
            body = {"email": f"user-{number}@example.com", "password": "wrong"}
            forged = {"x-forwarded-for": f"192.0.2.{number}", "forwarded": f"for=192.0.2.{number}"}
            answers.append(await client.post(f"{API}/auth/login", json=body, headers=forged))
        assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
        assert 0 < int(answers[-1].headers["retry-after"]) <= 900
        assert service.counted("brute_force_lockouts_total", "203.0.113.7") == 1
        assert service.counted("security_events_total", "brute_force_lockout") == 1
        [entry] = service.audited("lockout_began")
        assert (entry["scope"], entry["client"]) == ("address", "203.0.113.7")
        shed = [entry for entry in service.entries if entry.get("outcome") == "shed"]
        assert len(shed) == 3


async def test_behind_a_trusted_proxy_only_what_it_appended_counts():
    settings = {"login_attempts_per_address": 3, "library": {"trusted_proxies": "1"}}
    async with reference_service(**settings) as service, service.client() as client:
        codes = []
        for number in range(5):
            body = {"email": f"user-{number}@example.com", "password": "wrong"}
            forwarded = {"x-forwarded-for": f"192.0.2.{number}, 198.51.100.9"}  # ours stands at the right
            codes.append((await client.post(f"{API}/auth/login", json=body, headers=forwarded)).status_code)
        assert codes == [401, 401, 401, 429, 429]
        other = {"x-forwarded-for": "198.51.100.10"}
        body = {"email": "user@example.com", "password": "wrong"}
        assert (await client.post(f"{API}/auth/login", json=body, headers=other)).status_code == 401


async def test_the_addresses_of_one_ipv6_network_are_one_client():
    async with reference_service(login_attempts_per_address=3) as service:
        codes = []
        for number in range(5):
            async with service.client(f"2001:db8:0:1::{number:x}") as client:
                codes.append((await service.login(client, f"user-{number}@example.com")).status_code)
        assert codes == [401, 401, 401, 429, 429]


async def test_right_passwords_cost_an_address_nothing():
    limits = {"login": "1000/minute", "register": "1000/minute"}
    async with (
        reference_service(login_attempts_per_address=3, rate_limits=limits) as service,
        service.client() as client,
    ):
        for number in range(6):
            await service.register(client, f"user-{number}@example.com")
            assert (await service.login(client, f"user-{number}@example.com")).status_code == 200


async def test_a_right_password_forgets_the_account_s_failures():
    async with reference_service(login_attempts_per_account=3) as service, service.client() as client:
        await service.register(client, "ada@example.com")
        for _ in range(3):
            await service.login(client, "ada@example.com", "wrong")
            await service.login(client, "ada@example.com", "wrong")
            assert (await service.login(client, "ada@example.com")).status_code == 200


async def test_a_lockout_ends():
    settings = {"login_attempts_per_account": 1, "lockout_seconds": 1, "login_window_seconds": 1}
    async with reference_service(**settings) as service, service.client() as client:
        await service.register(client, "ada@example.com")
        for _ in range(2):
            await service.login(client, "ada@example.com", "wrong")
        for _ in range(100):
            if (await service.login(client, "ada@example.com", PASSWORD)).status_code == 200:
                return
            await asyncio.sleep(0.1)
        pytest.fail("the account stays locked")


async def test_an_administrator_lifts_a_lockout(administered):
    service, client, admin = administered
    await service.register(client, "ada@example.com")
    for _ in range(6):
        await service.login(client, "ada@example.com", "wrong")
    assert (await service.login(client, "ada@example.com")).status_code == 401
    [user] = (await client.get(f"{API}/admin/users?email=ada@example.com", headers=admin)).json()
    assert (await client.delete(f"{API}/admin/users/{user['id']}/lockout", headers=admin)).status_code == 204
    assert (await service.login(client, "ada@example.com")).status_code == 200
    assert len(service.audited("lockout_lifted")) == 1
