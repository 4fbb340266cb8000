"""What cannot be kept or written as JSON is refused as the client's mistake, whatever the database."""

from collections.abc import Iterator

import pytest

from app.api.database.engine import async_url, engine_for
from app.api.database.migrate import migrate
from app.api.settings import ServiceSettings
from support.databases import postgresql
from support.reference_service import API, PASSWORD, reference_service

NUL, HALF = r"\u0000", r"\ud800"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return ""
    url: str = request.getfixturevalue("server")
    engine = engine_for(async_url(url), ServiceSettings.load(environment="test"))
    await migrate(engine)
    await engine.dispose()
    return url


async def test_text_that_nobody_can_keep_is_never_an_error_of_ours(url):
    async with reference_service(database_url=url, rate_limiting=False) as service, service.client() as client:
        headers = {"content-type": "application/json", **await service.signed_in(client, "someone@example.com")}
        for hostile in (NUL, HALF):
            one = f'{{"email": "someone@example.com", "password": "{hostile}"}}'
            assert (await client.post(f"{API}/auth/login", content=one, headers=headers)).status_code in {401, 422}
            bodies = {
                "auth/login": f'{{"email": "a{hostile}@example.com", "password": "{PASSWORD}{hostile}"}}',
                "auth/register": f'{{"email": "a{hostile}@example.com", "password": "{PASSWORD}"}}',
                "auth/refresh": f'{{"refresh_token": "{hostile}"}}',
                "content": f'{{"topic": "{hostile}"}}',
                "items": f'{{"name": "{hostile}", "price": 1}}',
            }
            for path, body in bodies.items():
                answer = await client.post(f"{API}/{path}", content=body, headers=headers)
                assert answer.status_code < 500, (path, body, answer.text)
                assert hostile == NUL or answer.status_code == 422
        for method, path in (("GET", "content/%00"), ("DELETE", "auth/sessions/%00")):
            answer = await client.request(method, f"{API}/{path}", headers=headers)
            assert answer.status_code == (422 if url else 404), path
        assert [entry for entry in service.entries if entry["severity"] == "ERROR"] == []


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1e999"])
async def test_a_price_is_a_number(price):
    async with reference_service() as service, service.client() as client:
        body = f'{{"name": "kettle", "price": {price}}}'
        headers = {"content-type": "application/json"}
        assert (await client.post(f"{API}/items", content=body, headers=headers)).status_code == 422


async def test_a_refusal_does_not_repeat_what_was_typed():
    async with reference_service() as service, service.client() as client:
        answer = await client.post(f"{API}/auth/register", json={"email": "a@example.com", "password": "s3cret"})
        assert answer.status_code == 422
        assert [sorted(error) for error in answer.json()["detail"]] == [["loc", "msg", "type"]]
        assert "s3cret" not in answer.text
