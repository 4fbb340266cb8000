import httpx
from fastapi_cloudops.core.testing import observe
from new_app import app


async def call(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.post(path)


async def test_an_order_is_logged_and_counted() -> None:
    with observe(app) as seen:
        assert (await call("/orders/7?gift=true")).json() == {"id": 14}

    assert [entry["message"] for entry in seen.logs] == ["order taken"]
    assert [entry["item_id"] for entry in seen.logs] == [7]
    assert seen.access[0]["route"] == "/orders/{item_id}"
    assert seen.metrics["orders_total"].value(kind="gift") == 1
    assert seen.metrics["http_request_total"].value(outcome="ok") == 1


async def test_an_item_that_nobody_has_is_an_error_to_look_at() -> None:
    with observe(app) as seen:
        assert (await call("/orders/0")).is_server_error

    [error] = seen.errors
    assert "ZeroDivisionError" in error["stack_trace"]
    assert [span.name for span in seen.spans if span.failed] == ["POST /orders/{item_id}"]
    assert seen.metrics["errors_total"].value(type="ZeroDivisionError") == 1
