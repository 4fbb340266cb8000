"""`make demo` as a user runs it: one story to its alert, refusals, and nothing left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from demo.line import DemoError, check_ports
from support.cloudops import BACKEND, environment
from support.waiting import wait_until

MARK = "DEMO_TEST_MARK"


def demo(*arguments: str, **extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "demo", *arguments],
        cwd=BACKEND,
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def marked(mark: str) -> list[str]:
    """Command lines of the processes that have inherited the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # gone, or somebody else's
    return found


def test_one_story_is_played_to_its_alert_and_the_counts_are_equal():
    mark = uuid.uuid4().hex
    playing = demo("--story", "brute_force", "--seconds", "60", "--free-ports", "--seed", "3", **{MARK: mark})
    told, errors = playing.communicate(timeout=120)

    assert playing.returncode == 0, told + errors
    assert "alert open: Brute force attack on items-demo" in told
    assert "told to the webhook: brute_force_attack" in told
    assert re.search(r"look +http://127\.0\.0\.1:\d+/#dashboard=projects/demo/dashboards/\S+", told)
    assert re.search(r"runbook +http://127\.0\.0\.1:\d+/runbooks/brute_force_attack\.md", told)
    assert "pending for 4s (600s in production)" in told
    answered = re.search(r"requests answered (\d+), counted by metrics (\d+), access entries (\d+): equal", told)
    assert answered
    assert len(set(answered.groups())) == 1
    assert "401: 30, " in told  # five accounts' six wrong passwords; what follows is refused to the address
    assert "429: 6" in told
    assert not marked(mark)


def test_ctrl_c_while_it_starts_leaves_no_process():
    mark = uuid.uuid4().hex
    playing = demo("--free-ports", **{MARK: mark})
    try:
        wait_until(lambda: any("cloudops up" in line for line in marked(mark)), seconds=30, what="the emulator starts")
        interrupt(playing, mark)
    finally:
        playing.kill()


def test_ctrl_c_in_the_middle_of_a_story_leaves_no_process():
    mark = uuid.uuid4().hex
    playing = demo("--story", "slow_database", "--free-ports", **{MARK: mark})
    assert playing.stdout is not None
    try:
        for line in playing.stdout:
            if "Slow database" in line:
                break
        playing.send_signal(signal.SIGINT)
        wait_until(lambda: not any("uvicorn" in line for line in marked(mark)), seconds=30, what="the service has gone")
        interrupt(playing, mark)  # impatience changes nothing
    finally:
        playing.kill()


def interrupt(playing: subprocess.Popen[str], mark: str) -> None:
    playing.send_signal(signal.SIGINT)
    _, errors = playing.communicate(timeout=60)
    assert playing.returncode == 130
    assert errors == "Interrupted; everything that was started has ended.\n"
    assert not marked(mark)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--story", "tsunami"], "There is no story tsunami. There are: normal, brute_force, flood, slow_database,"),
        (["--seconds", "10"], "10 s are too short: normal and brute_force take about 30 s."),
    ],
    ids=["unknown story", "too short"],
)
def test_what_cannot_be_played_is_refused_at_once(arguments, said):
    playing = demo(*arguments)
    told, errors = playing.communicate(timeout=30)
    assert (playing.returncode, told) == (2, "")
    assert errors.startswith(said)


def test_the_list_needs_nothing_running():
    playing = demo("--list")
    told, _ = playing.communicate(timeout=30)
    assert playing.returncode == 0
    assert told.startswith("normal ")


def test_a_taken_port_is_named_with_two_ways_out(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setattr("demo.line.PORTS", (port,))
        with pytest.raises(DemoError, match=rf"Port {port} is taken: .*sport = :{port}.*make demo FREE_PORTS=1"):
            check_ports()


def test_the_bad_release_fails_for_new_items_only():
    script = """
from demo.bad_release import app
from app.api.v1.endpoints.items import NewItem, shelf
try:
    shelf.add(NewItem(name="a", price=1))
except KeyError:
    print(type(shelf).__name__, len(shelf.items), app.title)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=BACKEND, env=environment(), capture_output=True, text=True, check=True
    )
    assert answer.stdout.endswith("RebateShelf 0 fastapi-cloudops reference service\n")
    assert os.environ.get("K_REVISION") is None
