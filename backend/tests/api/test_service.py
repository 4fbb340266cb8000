import pytest

from app.api.application import create_app
from app.api.settings import ServiceSettings
from app.core import HealthRegistry, SettingsError
from app.core.lifecycle import Worker
from app.core.metrics.cells import Store
from support.reference_service import API, reference_service

PLANTED = "postgresql://someone:hunter2@db/service"


def test_where_it_counts_the_service_does_not_start_without_a_signing_key():
    with pytest.raises(SettingsError, match="AUTH_SIGNING_KEY is needed where ENVIRONMENT=production"):
        ServiceSettings.load(environment="production")
    with pytest.raises(SettingsError, match="AUTH_SIGNING_KEY"):
        ServiceSettings.load(environment="staging")
    ServiceSettings.load(environment="production", auth_signing_key="k" * 32)


def test_a_short_key_is_refused_and_no_secret_is_shown():
    with pytest.raises(SettingsError, match="32 bytes") as refused:
        ServiceSettings.load(auth_signing_key="hunter2", database_url=PLANTED, login_window_seconds=0)
    assert "LOGIN_WINDOW_SECONDS" in str(refused.value)
    assert "hunter2" not in str(refused.value) + repr(refused.value.__context__)
    assert "hunter2" not in repr(ServiceSettings.load(database_url=PLANTED))


def test_every_setting_says_what_it_is():
    assert [name for name, field in ServiceSettings.model_fields.items() if not field.description] == []


async def test_the_old_routes_work_as_before():
    async with reference_service() as service, service.client() as client:
        made = (await client.post(f"{API}/items", json={"name": "pen", "price": 2})).json()
        assert (await client.get(f"{API}/items/{made['id']}")).json()["name"] == "pen"
        assert (await client.get(f"{API}/slow?seconds=0")).status_code == 200
        assert (await client.get(f"{API}/fail?status=502")).status_code == 502
        assert (await client.get(f"{API}/fail")).status_code == 500


async def test_trouble_on_demand_is_off_where_somebody_relies_on_the_service():
    settings = {"environment": "production", "auth_signing_key": "k" * 32}
    async with reference_service(**settings) as service, service.client() as client:
        assert (await client.get(f"{API}/fail")).status_code == 503
        assert (await client.get(f"{API}/items")).status_code == 200


async def test_the_openapi_document_names_each_operation_once_and_how_to_sign_in():
    async with reference_service() as service, service.client() as client:
        document = (await client.get("/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(operation["tags"] for operation in operations)
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    me = document["paths"][f"{API}/auth/me"]["get"]
    assert (me["security"], "401" in me["responses"]) == ([{"HTTPBearer": []}], True)


async def test_what_is_checked_is_told_to_whoever_has_the_token():
    library = {"health_token": "open sesame"}
    async with reference_service(library=library) as service, service.client() as client:
        headers = {"authorization": "Bearer open sesame"}
        body = (await client.get("/health/detailed", headers=headers)).json()
        checks = {name.partition(":")[0] for name in body["checks"] if name.endswith(":responseTime")}
        assert {"items", "database", "schema", "limits", "content"} <= checks
        assert body["status"] == "pass"


async def test_workers_that_have_ended_are_seen():
    async with reference_service() as service, service.client() as client:
        await service.parts.workers.stop(1)
        [content] = [
            one for one in await service.app.state.observability.health.results() if one.check.name == "content"
        ]
        assert (content.status, content.answer.reason) == ("unhealthy", "no worker runs")
        assert (await client.get("/health/ready")).json() == {"status": "warn"}


async def test_the_parts_open_and_close_with_the_server():
    registry = HealthRegistry()
    app = create_app(
        service=ServiceSettings.load(environment="test", password_memory_kib=64, password_passes=1),
        worker=Worker(Store()),
        write=[].append,
        health_checks=registry,
    )
    async with app.router.lifespan_context(app):
        assert {check.name for check in registry.checks} >= {"database", "content"}
    assert "database" not in {check.name for check in registry.checks}
