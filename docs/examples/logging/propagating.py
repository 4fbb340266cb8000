import asyncio

import aiohttp
import httpx
import requests
from aiohttp import web
from fastapi_cloudops import outgoing_headers, request_context
from fastapi_cloudops.core.propagation import cloud_task_headers, from_pubsub_message, pubsub_attributes
from fastapi_cloudops.core.propagation.aiohttp import aiohttp_trace_config
from fastapi_cloudops.core.propagation.httpx import propagate_httpx
from fastapi_cloudops.core.propagation.requests import propagate_requests

OURS = ["127.0.0.1", "*.shop.internal"]


def show(sender: str, headers: object) -> None:
    names = ("x-request-id", "traceparent")
    sent = {name.lower(): value for name, value in dict(headers).items()}
    print(f"{sender:<24}", *(sent.get(name, "-") for name in names))


async def send(port: int) -> None:
    here, elsewhere = f"http://127.0.0.1:{port}/", f"http://localhost:{port}/"
    async with propagate_httpx(httpx.AsyncClient(), OURS) as client:
        show("httpx", (await client.get(here)).json())
        show("httpx, a stranger", (await client.get(elsewhere)).json())
    async with aiohttp.ClientSession(trace_configs=[aiohttp_trace_config(OURS)]) as session:
        show("aiohttp", await (await session.get(here)).json())
    with propagate_requests(requests.Session(), OURS) as session:
        show("requests", (await asyncio.to_thread(session.get, here)).json())


async def main() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({name.lower(): value for name, value in request.headers.items()})

    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with request_context(request_id="r-1", traceparent=traceparent):
        await send(runner.addresses[0][1])
        show("any client, by hand", outgoing_headers("api.shop.internal", OURS))
        show("Cloud Tasks", cloud_task_headers())
        attributes = pubsub_attributes()
    with request_context(from_pubsub_message({"message_id": "1", "attributes": attributes})) as received:
        print(f"{'Pub/Sub, received':<24}", received.request_id, received.trace.trace_id)
    await runner.cleanup()


asyncio.run(main())
