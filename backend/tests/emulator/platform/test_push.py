"""Messages of a topic pushed to a URL on this machine."""

import base64
import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from, our_choice
from support.waiting import wait_until

PUSH = "https://cloud.google.com/pubsub/docs/push"
TOPIC, READER = "projects/demo/topics/alerts", "projects/demo/subscriptions/reader"


class Receiver:
    """Keeps what is posted; the first answers are those in `codes`, then 204."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.codes: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(receiver.codes.pop(0) if receiver.codes else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/push"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


def subscribe(emulator: RunningEmulator, endpoint: str) -> None:
    httpx.put(f"{emulator.http}/v1/{TOPIC}", json={}).raise_for_status()
    body = {"topic": TOPIC, "pushConfig": {"pushEndpoint": endpoint}}
    httpx.put(f"{emulator.http}/v1/{READER}", json=body).raise_for_status()


def publish(emulator: RunningEmulator, *texts: str) -> list[str]:
    messages = [{"data": base64.b64encode(text.encode()).decode(), "attributes": {"k": "v"}} for text in texts]
    answer = httpx.post(f"{emulator.http}/v1/{TOPIC}:publish", json={"messages": messages})
    return list(answer.json()["messageIds"])


def left(emulator: RunningEmulator) -> int:
    answer = httpx.post(f"{emulator.http}/v1/{READER}:pull", json={"maxMessages": 100}).json()
    return len(answer.get("receivedMessages", []))


@known_from(docs=PUSH)
def test_a_message_arrives_in_its_wrapper(emulator: RunningEmulator, receiver: Receiver) -> None:
    subscribe(emulator, receiver.url)
    [message_id] = publish(emulator, "incident opened")
    wait_until(lambda: receiver.bodies, what="the push")
    [body] = receiver.bodies
    assert body["subscription"] == READER
    message = body["message"]
    assert base64.b64decode(message["data"]) == b"incident opened"
    assert message["attributes"] == {"k": "v"}
    assert message["messageId"] == message["message_id"] == message_id
    assert message["publishTime"] == message["publish_time"]


@known_from(docs=PUSH)
def test_a_message_that_is_not_taken_comes_again(emulator: RunningEmulator, receiver: Receiver) -> None:
    receiver.codes = [500, 404]
    subscribe(emulator, receiver.url)
    [message_id] = publish(emulator, "again")
    wait_until(lambda: len(receiver.bodies) == 3, what="the third attempt")
    assert {body["message"]["messageId"] for body in receiver.bodies} == {message_id}
    wait_until(lambda: left(emulator) == 0, what="the acknowledgement")


@our_choice("as with webhooks: a file of definitions cannot make a laptop call strangers")
def test_an_endpoint_beyond_this_machine_is_not_called(
    emulator: RunningEmulator, capfd: pytest.CaptureFixture[str]
) -> None:
    subscribe(emulator, "http://192.0.2.1/push")
    publish(emulator, "secret")
    told = ""

    def refusal() -> bool:
        nonlocal told
        told += capfd.readouterr().err
        return "not this machine" in told

    wait_until(refusal, what="the refusal")


@known_from(docs=PUSH)
@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1/x", "nowhere", 1])
def test_an_endpoint_must_be_a_web_address(emulator: RunningEmulator, endpoint: Any) -> None:
    httpx.put(f"{emulator.http}/v1/{TOPIC}", json={}).raise_for_status()
    body = {"topic": TOPIC, "pushConfig": {"pushEndpoint": endpoint}}
    assert httpx.put(f"{emulator.http}/v1/{READER}", json=body).status_code == 400


@our_choice("the file must not grow for ever: records of messages that nobody waits for are dropped")
def test_records_of_taken_messages_leave_the_journal(tmp_path: Path) -> None:
    with running_emulator(data_dir=tmp_path) as emulator:
        subscribe(emulator, "")
        ids = publish(emulator, "first") + publish(emulator, "second")
        httpx.post(f"{emulator.http}/v1/{READER}:acknowledge", json={"ackIds": ids[:1]}).raise_for_status()
        emulator.call(emulator.emulator.parts.sweep)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite")) as journal:
        kinds = [kind for (kind,) in journal.execute("SELECT kind FROM record WHERE kind LIKE 'platform.message%'")]
    assert kinds.count("platform.message") == 1
    with running_emulator(data_dir=tmp_path) as emulator:
        assert left(emulator) == 1


def test_what_was_not_taken_is_pushed_after_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    with running_emulator(data_dir=tmp_path) as emulator:
        receiver.codes = [500] * 100
        subscribe(emulator, receiver.url)
        [message_id] = publish(emulator, "patient")
        wait_until(lambda: receiver.bodies, what="the first attempt")
    receiver.codes, receiver.bodies = [], []
    with running_emulator(data_dir=tmp_path):
        wait_until(lambda: receiver.bodies, what="the push after the restart")
    assert receiver.bodies[0]["message"]["messageId"] == message_id
