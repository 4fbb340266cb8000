import json
from pathlib import Path

from fastapi import FastAPI

from app.core import bind, get_logger
from support import snapshots
from support.provenance import known_from
from support.service import observed

SNAPSHOTS = Path(__file__).with_name("snapshots")
HEADERS = {
    "user-agent": 'a "quoted" agent',
    "x-request-id": "req-1",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}


def _app() -> FastAPI:
    app = FastAPI()
    log = get_logger("shop")

    @app.post("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        bind(user="ada")
        log.info("bought", amount=3)
        return {"id": item_id}

    @app.get("/boom")
    async def boom() -> None:
        raise ZeroDivisionError("not told in the access entry")

    return app


#: On a busy machine even nothing in the background takes a while that is told.
MEASURED = {"time_to_first_byte", "background_seconds"}


def _stable(entry):
    """An entry without what differs from run to run."""
    text = json.loads(json.dumps(entry))
    text["time"] = "T"
    if "stack_trace" in text:
        lines = text["stack_trace"].splitlines()
        text["stack_trace"] = [lines[0], lines[-1]]
    text["logging.googleapis.com/insertId"] = "I"
    for name in MEASURED:
        text.pop(name, None)
    text["logging.googleapis.com/spanId"] = "S"
    text["logging.googleapis.com/labels"]["instance"] = "I"
    text.get("httpRequest", {}).update(latency="L")
    if "logging.googleapis.com/sourceLocation" in text:
        text["logging.googleapis.com/sourceLocation"].update(file="F", line="N")
    return text


async def _entries(path: str, **settings):
    with observed(_app(), google_cloud_project="shop", service_version="1.2.3", **settings) as service:
        async with service.client(headers=HEADERS) as client:
            await client.request(
                "GET" if path == "/boom" else "POST", path, content=b"" if path == "/boom" else b"1234"
            )
        return service.entries


@known_from(docs="https://cloud.google.com/logging/docs/structured-logging#special-payload-fields")
async def test_the_access_entry_of_a_request():
    snapshots.check(SNAPSHOTS / "access_entry.json", _stable((await _entries("/items/7"))[-1]))


async def test_the_access_entry_of_a_failed_request():
    snapshots.check(SNAPSHOTS / "access_entry_of_a_failed_request.json", _stable((await _entries("/boom"))[0]))


async def test_a_log_call_inside_of_a_request():
    snapshots.check(SNAPSHOTS / "log_call.json", _stable((await _entries("/items/7"))[0]))


async def test_the_access_entry_and_a_log_call_share_their_keys():
    call, access = await _entries("/items/7")
    own = {"amount", "logging.googleapis.com/sourceLocation"}
    assert set(call) - own == set(access) - {"httpRequest", "outcome", *MEASURED}
    shared = {name for name in call if name in access} - {
        "time",
        "message",
        "logger",
        "logging.googleapis.com/insertId",
    }
    assert {name: call[name] for name in shared} == {name: access[name] for name in shared}


async def test_without_tracing_no_entry_names_a_trace():
    for entry in await _entries("/items/7", enable_tracing=False):
        assert not any("trace" in name or "span" in name for name in entry)


async def test_without_an_access_log_the_calls_remain():
    assert [entry["message"] for entry in await _entries("/items/7", access_log="off")] == ["bought"]


async def test_no_header_or_path_breaks_the_line():
    app = FastAPI()
    hostile = "\x1b[31m\u2028\udcff" + '"\\\n'
    with observed(app) as service:

        async def never():
            raise AssertionError("nobody reads the body")

        async def swallow(message):
            pass

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/" + hostile,
            "headers": [(b"user-agent", bytes(range(1, 256))), (b"content-length", b"many")],
            "root_path": "",
            "client": None,
            "query_string": b"token=secret",
        }
        await app(scope, never, swallow)
        [line] = service.lines
        assert line.count(b"\n") == 1
        assert line.isascii()
        assert json.loads(line)["httpRequest"]["requestUrl"] == "/" + hostile
        assert b"secret" not in line
