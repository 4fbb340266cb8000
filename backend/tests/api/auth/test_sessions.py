import asyncio
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from sqlalchemy import update

from app.api.auth.housekeeping import AccountKeeping
from app.api.auth.tokens import Claims, TokenError, Tokens
from app.api.database.models import Session
from support.reference_service import API, reference_service

KEY = b"k" * 32


def _now():
    return datetime.now(UTC)


def _bearer(granted):
    return {"authorization": f"Bearer {granted['access_token']}"}


async def _granted(service, client, email="ada@example.com"):
    await service.register(client, email)
    return (await service.login(client, email)).json()


async def _refresh(client, granted):
    return await client.post(f"{API}/auth/refresh", json={"refresh_token": granted["refresh_token"]})


async def test_a_refresh_token_renews_both_tokens_once():
    async with reference_service() as service, service.client() as client:
        first = await _granted(service, client)
        second = (await _refresh(client, first)).json()
        third = (await _refresh(client, second)).json()
        assert len({one["refresh_token"] for one in (first, second, third)}) == 3
        assert (await client.get(f"{API}/auth/me", headers=_bearer(third))).status_code == 200
        assert service.counted("auth_token_refresh_total", "success") == 2


async def test_a_stolen_refresh_token_ends_the_session_for_the_thief_and_for_the_victim():
    async with reference_service() as service, service.client() as client:
        stolen = await _granted(service, client)
        thief = (await _refresh(client, stolen)).json()
        assert (await _refresh(client, stolen)).status_code == 401  # the victim comes second
        assert (await _refresh(client, thief)).status_code == 401
        for granted in (stolen, thief):
            assert (await client.get(f"{API}/auth/me", headers=_bearer(granted))).status_code == 401
        assert service.counted("security_events_total", "refresh_token_reuse") == 1
        assert len(service.audited("refresh_token_reused")) == 1
        assert service.counted("auth_token_refresh_total", "failure") == 2


async def test_of_many_who_come_with_one_refresh_token_at_the_same_time_one_gets_a_new_one():
    async with reference_service(rate_limits={"refresh": "1000/minute"}) as service, service.client() as client:
        granted = await _granted(service, client)
        answers = await asyncio.gather(*(_refresh(client, granted) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_another_session_of_the_user_survives_a_theft():
    async with reference_service() as service, service.client() as client:
        stolen = await _granted(service, client)
        other = (await service.login(client, "ada@example.com")).json()
        await _refresh(client, stolen)
        await _refresh(client, stolen)
        assert (await client.get(f"{API}/auth/me", headers=_bearer(other))).status_code == 200


async def test_logging_out_ends_the_access_token_at_once():
    async with reference_service() as service, service.client() as client:
        granted = await _granted(service, client)
        assert (await client.post(f"{API}/auth/logout", headers=_bearer(granted))).status_code == 204
        assert (await client.get(f"{API}/auth/me", headers=_bearer(granted))).status_code == 401
        assert (await _refresh(client, granted)).status_code == 401
        assert service.counted("security_events_total", "refresh_token_reuse") == 0
        [entry] = service.audited("session_ended")
        assert entry["reason"] == "logout"
        assert service.counted("authorization_failures_total", f"{API}/auth/me", "401") == 1


async def test_a_user_sees_and_ends_their_own_sessions_and_nobody_else_s():
    async with reference_service() as service, service.client() as client:
        mine = await _granted(service, client)
        other = (await service.login(client, "ada@example.com")).json()
        stranger = await _granted(service, client, "eve@example.com")
        sessions = (await client.get(f"{API}/auth/sessions", headers=_bearer(mine))).json()
        assert len(sessions) == 2
        assert sessions[0]["user_agent"].startswith("python-httpx")
        newest = f"{API}/auth/sessions/{sessions[0]['id']}"
        assert (await client.delete(newest, headers=_bearer(stranger))).status_code == 404
        assert (await client.delete(newest, headers=_bearer(mine))).status_code == 204
        assert (await client.delete(newest, headers=_bearer(mine))).status_code == 404
        assert (await client.get(f"{API}/auth/me", headers=_bearer(other))).status_code == 401
        assert (await client.get(f"{API}/auth/me", headers=_bearer(mine))).status_code == 200


async def test_sessions_are_counted_by_role_and_the_expired_ones_told_once():
    async with reference_service() as service, service.client() as client:
        await _granted(service, client)
        await service.login(client, "ada@example.com")
        parts = service.parts
        keep = AccountKeeping(parts.accounts, parts.database, _now)
        await keep()
        assert service.figure("auth_active_sessions", "user") == 2
        async with parts.database.begin() as database:
            await database.execute(update(Session).values(expires_at=_now() - timedelta(seconds=1)))
        await keep()
        await keep()
        assert service.figure("auth_active_sessions", "user") == 0
        assert service.figure("auth_active_sessions", "admin") == 0


async def test_a_change_of_role_counts_at_once_and_a_disabled_account_has_no_sessions(administered):
    service, client, admin = administered
    granted = await _granted(service, client)
    [user] = (await client.get(f"{API}/admin/users?email=ada@example.com", headers=admin)).json()
    path = f"{API}/admin/users/{user['id']}"
    assert (await client.patch(path, json={"role": "admin"}, headers=_bearer(granted))).status_code == 403
    assert service.counted("authorization_failures_total", f"{API}/admin/users/{{user_id}}", "403") == 1
    assert (await client.patch(path, json={"role": "admin"}, headers=admin)).json()["role"] == "admin"
    assert (await client.get(f"{API}/admin/users", headers=_bearer(granted))).status_code == 200
    await client.patch(path, json={"disabled": True}, headers=admin)
    assert (await client.get(f"{API}/auth/me", headers=_bearer(granted))).status_code == 401
    assert (await _refresh(client, granted)).status_code == 401
    assert (await service.login(client, "ada@example.com")).status_code == 401
    assert service.counted("auth_login_failures_total", "account_disabled") == 1
    [entry] = service.audited("role_changed")
    assert (entry["role_before"], entry["role_after"]) == ("user", "admin")


def _forged(**changes):
    body = {
        "iss": "fastapi-cloudops-reference",
        "aud": "fastapi-cloudops-reference",
        "sub": "u",
        "sid": "s",
        "role": "admin",
        "iat": _now(),
        "exp": _now() + timedelta(hours=1),
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def _key_id():
    tokens = Tokens(KEY, None, 60, _now)
    return jwt.get_unverified_header(tokens.issue(Claims("u", "s", "user")))["kid"]


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "x" * 10_000,
        jwt.encode(_forged(), "", "none", {"kid": _key_id()}),
        jwt.encode(_forged(), b"o" * 32, "HS256", {"kid": _key_id()}),
        jwt.encode(_forged(), KEY, "HS256"),
        jwt.encode(_forged(), KEY, "HS256", {"kid": "../../etc/passwd"}),
        jwt.encode(_forged(), KEY * 2, "HS512", {"kid": _key_id()}),
        jwt.encode(_forged(exp=_now() - timedelta(seconds=1)), KEY, "HS256", {"kid": _key_id()}),
        jwt.encode(_forged(exp=None), KEY, "HS256", {"kid": _key_id()}),
        jwt.encode(_forged(aud="another"), KEY, "HS256", {"kid": _key_id()}),
        jwt.encode(_forged(iss="another"), KEY, "HS256", {"kid": _key_id()}),
        jwt.encode(_forged(sub=None), KEY, "HS256", {"kid": _key_id()}),
        jwt.encode(_forged(iat=_now() + timedelta(hours=1)), KEY, "HS256", {"kid": _key_id()}),
    ],
    ids=lambda token: token[:8] + str(len(token)),
)
def test_a_token_that_is_not_ours_is_refused(token):
    with pytest.raises(TokenError):
        Tokens(KEY, None, 60, _now).read(token)


def test_a_token_signed_with_the_previous_key_is_good_until_that_key_is_taken_away():
    claims = Claims("u", "s", "user")
    token = Tokens(KEY, None, 60, _now).issue(claims)
    assert Tokens(b"n" * 32, KEY, 60, _now).read(token) == claims
    with pytest.raises(TokenError):
        Tokens(b"n" * 32, None, 60, _now).read(token)


async def test_the_role_in_a_token_is_not_believed():
    key = "k" * 32
    async with reference_service(auth_signing_key=key) as service, service.client() as client:
        granted = await _granted(service, client)
        body = jwt.decode(granted["access_token"], options={"verify_signature": False})
        kid = jwt.get_unverified_header(granted["access_token"])["kid"]
        forged = jwt.encode({**body, "role": "admin"}, key, "HS256", {"kid": kid})
        answer = await client.get(f"{API}/admin/users", headers={"authorization": f"Bearer {forged}"})
        assert answer.status_code == 403
        assert service.counted("security_events_total", "missing_role") == 1


async def test_a_forged_token_is_a_security_event_and_an_expired_one_is_not():
    key = "k" * 32
    async with reference_service(auth_signing_key=key) as service, service.client() as client:
        old = Tokens(key.encode(), None, 60, lambda: _now() - timedelta(hours=1)).issue(Claims("u", "s", "user"))
        other = Tokens(b"o" * 32, None, 60, _now).issue(Claims("u", "s", "user"))
        for token, events in ((old, 0), (other, 1)):
            answer = await client.get(f"{API}/auth/me", headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 401
            assert service.counted("security_events_total") == events
        assert service.counted("authorization_failures_total", f"{API}/auth/me", "401") == 2
