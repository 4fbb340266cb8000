import asyncio

import pytest
from sqlalchemy import select

from app.api.auth.passwords import Passwords
from app.api.database.models import User
from support.reference_service import API, PASSWORD, reference_service


async def test_a_login_gives_tokens_that_say_who_it_is():
    async with reference_service() as service, service.client() as client:
        await service.register(client, "Ada@Example.com")
        answer = await service.login(client, " ada@EXAMPLE.com ")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await client.get(f"{API}/auth/me", headers=headers)).json()["role"] == "user"
        assert service.counted("auth_login_attempts_total", "success", "user") == 1
        [entry] = service.audited("login_succeeded")
        assert entry["client"] == "203.0.113.7"


async def test_every_reason_has_the_same_answer_and_its_own_count():
    async with reference_service(login_attempts_per_account=3) as service, service.client() as client:
        for email in ("known@example.com", "locked@example.com"):
            await service.register(client, email)
        for _ in range(4):
            await service.login(client, "locked@example.com", "wrong")
        answers = [
            await service.login(client, "known@example.com", "wrong"),
            await service.login(client, "nobody@example.com", "wrong"),
            await service.login(client, "locked@example.com", PASSWORD),
        ]
        told = {(answer.status_code, answer.text, answer.headers["www-authenticate"]) for answer in answers}
        assert len(told) == 1
        assert answers[0].status_code == 401
        assert service.counted("auth_login_failures_total", "invalid_password") == 4
        assert service.counted("auth_login_failures_total", "user_not_found") == 1
        assert service.counted("auth_login_failures_total", "account_locked") == 2
        assert [entry["reason"] for entry in service.audited("login_failed")][-1] == "account_locked"


async def test_a_password_is_hashed_for_who_does_not_exist_too(monkeypatch):
    """Which is what takes the time: counted instead of measured, since a busy machine has times of its own."""
    asked = []
    verify = Passwords.verify

    async def noted(self, password, stored):
        asked.append(stored)
        return await verify(self, password, stored)

    monkeypatch.setattr(Passwords, "verify", noted)
    async with reference_service(login_attempts_per_account=1) as service, service.client() as client:
        await service.register(client, "ada@example.com")
        for email in ("ada@example.com", "nobody@example.com", "ada@example.com"):  # wrong, unknown, locked
            assert (await service.login(client, email, "wrong")).status_code == 401
        assert [stored is None for stored in asked] == [False, True, False]


async def test_refusing_who_does_not_exist_takes_about_as_long():
    passwords = Passwords(passes=3, memory_kib=8192, workers=1)
    known = await passwords.hash(PASSWORD)
    loop = asyncio.get_running_loop()

    async def shortest(stored: str | None) -> float:
        times = []
        for _ in range(7):
            began = loop.time()
            assert await passwords.verify("wrong", stored) == (False, None)
            times.append(loop.time() - began)
        return min(times)

    ratio = await shortest(None) / await shortest(known)
    passwords.close()
    assert 0.3 < ratio < 3


async def test_registering_a_taken_address_answers_alike_and_changes_nothing():
    async with reference_service() as service, service.client() as client:
        first = await client.post(f"{API}/auth/register", json={"email": "a@example.com", "password": PASSWORD})
        second = await client.post(f"{API}/auth/register", json={"email": "A@example.com", "password": "x" * 12})
        assert (first.status_code, first.text) == (second.status_code, second.text)
        assert (await service.login(client, "a@example.com")).status_code == 200
        assert (await service.login(client, "a@example.com", "x" * 12)).status_code == 401
        assert len(service.audited("account_registered")) == 1


async def test_no_password_and_no_token_is_in_a_log_line_or_an_answer_to_a_wrong_request():
    async with reference_service() as service, service.client() as client:
        await service.register(client, "ada@example.com")
        granted = (await service.login(client, "ada@example.com")).json()
        wrong = await client.post(f"{API}/auth/login", json={"email": "no address", "password": "S3cret-pa55word"})
        await client.post(f"{API}/auth/refresh", json={"refresh_token": granted["refresh_token"]})
        written = b"".join(service.lines).decode()
        for secret in (PASSWORD, "S3cret-pa55word", granted["access_token"], granted["refresh_token"]):
            assert secret not in written
        assert wrong.status_code == 422
        assert "S3cret-pa55word" not in wrong.text


async def test_more_logins_than_can_be_hashed_are_shed_and_cost_no_attempt(monkeypatch):
    monkeypatch.setattr("app.api.auth.passwords._MOST_WAITING", 0)
    async with reference_service(login_attempts_per_account=1) as service, service.client() as client:
        for _ in range(3):
            answer = await service.login(client, "ada@example.com")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert [entry["outcome"] for entry in service.entries if "httpRequest" in entry] == ["shed"] * 3
        assert service.counted("brute_force_lockouts_total") == 0


@pytest.mark.parametrize("password", ["short", "x" * 1025])
async def test_a_password_has_twelve_characters_or_more_but_no_thousands(password):
    async with reference_service() as service, service.client() as client:
        answer = await client.post(f"{API}/auth/register", json={"email": "a@example.com", "password": password})
        assert answer.status_code == 422


async def test_a_hash_of_older_costs_is_renewed_at_the_next_login(tmp_path):
    url = f"sqlite:///{tmp_path}/service.db"
    async with reference_service(database_url=url) as service, service.client() as client:
        await service.register(client, "ada@example.com")
    async with reference_service(database_url=url, password_passes=2) as service, service.client() as client:
        assert (await service.login(client, "ada@example.com")).status_code == 200
        user = await _user(service, "ada@example.com")
        assert ",t=2," in user.password_hash
        assert (await service.login(client, "ada@example.com")).status_code == 200


async def _user(service, email):

    async with service.parts.database() as database:
        return await database.scalar(select(User).where(User.email == email))
