"""What sockets cannot show: messages and scopes pass as they are, and nothing is asked for twice."""

import asyncio
from typing import Any

import pytest

from support.probe_app import FILE_BYTES, make_app, without_native_telemetry
from support.probe_client import Message, body, http_scope, run, start, swallow, websocket_scope
from support.service import observed


class AppError(Exception):
    pass


@pytest.mark.parametrize("kind", ["something", "lifespan.next", "http3"])
async def test_an_unknown_scope_passes_with_everything_in_it(kind, service, layer):
    seen: list[Any] = []

    async def app(scope, receive, send):
        seen.extend((scope, receive, send, dict(scope)))

    async def receive():
        return {}

    async def send(message):
        pass

    scope = {"type": kind, "more": object()}
    before = dict(scope)
    await layer(app)(scope, receive, send)
    assert seen[0] is scope
    assert (seen[1], seen[2]) == (receive, send)
    assert seen[3] == before
    assert service.lines == []


async def test_the_app_gets_the_servers_own_scope_and_nothing_is_taken_from_it(layer):
    given = http_scope("/x", extensions={"http.response.pathsend": {}, "http.response.trailers": {}, "tls": {"a": 1}})
    before = dict(given)
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    await run(layer(app), given)
    assert seen[0] is given
    assert {name: given[name] for name in before} == before
    assert given["extensions"] is before["extensions"]
    assert given["headers"] is before["headers"]


async def test_what_the_server_sends_reaches_the_app_as_the_same_object(layer):
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"a", "more_body": True, "new": object()},
        {"type": "http.request"},
    ]
    seen = []

    async def app(scope, receive, send):
        seen.extend([await receive(), await receive(), await receive()])
        await send(start())
        await send(body())

    await run(layer(app), http_scope("/x"), messages)
    assert seen[0] is messages[0]
    assert seen[1] is messages[1]
    assert seen[2] == {"type": "http.disconnect"}


async def test_the_layer_asks_for_nothing_itself(layer):
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"answer"))

    async def receive():
        raise AssertionError("nobody asked")

    sent = []

    async def send(message):
        sent.append(message)

    await layer(app)(http_scope("/x"), receive, send)
    assert len(sent) == 2


EXTENSIONS: dict[str, list[Message]] = {
    "trailers": [
        start(trailers=True),
        body(b"first", more=True),
        body(),
        {"type": "http.response.trailers", "headers": [(b"x-checksum", b"1")], "more_trailers": False},
    ],
    "path": [start(), {"type": "http.response.pathsend", "path": "/etc/hostname"}],
    "zero copy": [start(), {"type": "http.response.zerocopysend", "file": 3, "offset": 0, "count": 5}],
    "zero copy between bodies": [
        start(),
        {"type": "http.response.zerocopysend", "file": 3, "count": 5, "more_body": True},
        body(b"end"),
    ],
    "push": [{"type": "http.response.push", "path": "/style.css", "headers": []}, start(), body()],
    "early hint": [{"type": "http.response.early_hint", "links": [b"</style.css>"]}, start(), body()],
    "debug": [{"type": "http.response.debug", "info": {"template": "x"}}, start(), body()],
    "fields of tomorrow": [start(tomorrow=1), {**body(b"x"), "tomorrow": object()}],
    "memory view": [start(), body(memoryview(b"12345"))],
    "byte array": [start(), body(bytearray(b"12345"))],
    "no fields": [{"type": "http.response.start", "status": 200}, {"type": "http.response.body"}],
    "its own id in capitals": [start(headers=[(b"X-Request-ID", b"own")]), body()],
    "tuples as headers": [start(headers=((b"a", b"1"), [b"b", b"2"])), body()],
}


@pytest.mark.parametrize("name", EXTENSIONS)
async def test_every_message_reaches_the_server(name, service, layer):
    messages = EXTENSIONS[name]

    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    bare, watched = await run(app, http_scope("/x")), await run(layer(app), http_scope("/x"))
    assert watched.comparable == bare.comparable
    others = [pair for pair in zip(watched.sent, messages, strict=True) if pair[1]["type"] != "http.response.start"]
    assert all(sent is message for sent, message in others)
    [headers] = [message["headers"] for message in watched.sent if message["type"] == "http.response.start"]
    assert [name.lower() for name, _ in headers].count(b"x-request-id") == 1
    [entry] = service.access
    assert (entry["httpRequest"]["status"], entry["outcome"]) == (200, "ok")


async def test_the_apps_own_message_and_headers_are_left_alone(layer):
    own = [(b"content-type", b"text/plain")]
    message = start(headers=own)

    async def app(scope, receive, send):
        await send(message)
        await send(body())

    await run(layer(app), http_scope("/x"))
    assert own == [(b"content-type", b"text/plain")]
    assert message == start(headers=own)


async def test_a_file_goes_by_path_where_the_server_can():
    bare = await run(
        make_app(**without_native_telemetry()), http_scope("/file", extensions={"http.response.pathsend": {}})
    )
    with observed(make_app()) as service:
        watched = await run(service.app, http_scope("/file", extensions={"http.response.pathsend": {}}))
        [entry] = service.access
    assert [message["type"] for message in bare.sent] == ["http.response.start", "http.response.pathsend"]
    assert watched.comparable == bare.comparable
    assert (entry["route"], entry["outcome"]) == ("/file", "ok")
    assert entry["httpRequest"]["responseSize"] in {str(FILE_BYTES), "0"}


async def test_lifespan_messages_and_failures_are_the_apps_own():
    app = make_app()
    with observed(app) as service:
        ran = await run(service.app, {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, lifespan_messages())
    assert [message["type"] for message in ran.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert ran.scope["state"] == {"answer": "forty-two"}
    assert ran.error is None


@pytest.mark.parametrize("speaks", [True, False])
async def test_an_app_without_a_lifespan_stays_one(speaks, layer):
    async def app(scope, receive, send):
        if speaks:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})
        raise AppError("no lifespan here")

    bare = await run(app, {"type": "lifespan"}, lifespan_messages())
    watched = await run(layer(app), {"type": "lifespan"}, lifespan_messages())
    assert watched.sent == bare.sent
    assert type(watched.error) is type(bare.error) is AppError


def lifespan_messages():
    return [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]


async def test_websocket_messages_pass_as_they_are(service, layer):
    incoming: list[dict[str, Any]] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "hi", "tomorrow": 1},
    ]
    outgoing = [
        {"type": "websocket.accept", "headers": [(b"a", b"1")], "subprotocol": "chat", "tomorrow": 1},
        {"type": "websocket.send", "bytes": b"x"},
        {"type": "websocket.invented"},
        {"type": "websocket.close", "code": 4000, "reason": "enough"},
    ]
    seen = []

    async def app(scope, receive, send):
        seen.extend([await receive(), await receive(), await receive()])
        for message in outgoing:
            await send(message)

    bare = await run(app, websocket_scope("/w"), incoming)
    watched = await run(layer(app), websocket_scope("/w"), incoming)
    assert watched.comparable == bare.comparable
    assert seen[0] is seen[3] is incoming[0]
    assert seen[1] is seen[4] is incoming[1]
    [entry] = [entry for entry in service.entries if entry["message"].startswith("WEBSOCKET")]
    assert entry["message"] == "WEBSOCKET (no route) 1001"


async def test_a_cancelled_websocket_stays_cancelled_and_is_not_open(service, layer):
    accepted = asyncio.Event()

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        accepted.set()
        await asyncio.sleep(10)

    task = asyncio.create_task(run_alone(layer(app), websocket_scope("/w")))
    await accepted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert service.series("websocket_connections") == {("_unmatched",): [0.0]}


async def run_alone(app, scope):
    await app(scope, None, swallow)
