"""`cloudops run` with real commands: what they see, what becomes of their lines, how they end."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.emulator.run.process import service_name
from support.cloudops import EmulatorProcess, cloudops, emulator_process, started
from support.provenance import known_from, our_choice
from support.waiting import wait_until

CONTRACT = "https://docs.cloud.google.com/run/docs/container-contract"


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with emulator_process() as emulator:
        yield emulator


def run(emulator: EmulatorProcess, program: str, *options: str, **extra: str) -> subprocess.CompletedProcess[str]:
    arguments = ["--port", "0", *options, "--", sys.executable, "-c", program]
    return cloudops("run", *arguments, **{**emulator.variables, **extra})


def entries_of(emulator: EmulatorProcess, service: str) -> list[dict[str, Any]]:
    return emulator.entries(f"resource.labels.service_name={service}")


@known_from(docs=CONTRACT)
def test_the_command_sees_what_cloud_run_sets(emulator):
    program = "import json, os, urllib.request as u; print(json.dumps(dict(os.environ)))"
    done = run(
        emulator, program, "--service", "seen", "--revision", "seen-00007-abc", "--env", "EXTRA=a=b", "--raw",
        GOOGLE_CLOUD_PROJECT="laptop", GOOGLE_APPLICATION_CREDENTIALS="/home/me/key.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    names = ("K_SERVICE", "K_REVISION", "K_CONFIGURATION", "EXTRA", "CLOUDOPS_EMULATOR_HOST")
    assert [seen[name] for name in names] == ["seen", "seen-00007-abc", "seen", "a=b", emulator.addresses["grpc"]]
    assert 0 < int(seen["PORT"]) < 65536
    assert seen["GCE_METADATA_HOST"] == seen["GCE_METADATA_ROOT"] == seen["GCE_METADATA_IP"]
    assert not {"GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"} & seen.keys()


@known_from(docs="https://docs.cloud.google.com/run/docs/logging")
def test_lines_of_both_streams_become_entries_in_their_order(emulator):
    program = """
import json, sys
for number in range(1000):
    print(json.dumps({"severity": "INFO", "message": f"m{number}", "n": number}))
print("last words", file=sys.stderr)
sys.stdout.write("no line break at the end")
"""
    done = run(emulator, program, "--service", "lines", "--region", "europe-west1")
    assert done.returncode == 0, done.stderr
    assert "1002 lines read, 1002 entries written, 0 dropped" in done.stderr
    found = entries_of(emulator, "lines")
    numbers = [entry["jsonPayload"]["n"] for entry in found if "jsonPayload" in entry]
    assert numbers == list(range(1000))
    assert {entry["textPayload"] for entry in found if "textPayload" in entry} == {
        "last words",
        "no line break at the end",
    }
    logs = {entry["logName"].partition("%2F")[2] for entry in found}
    assert logs == {"stdout", "stderr"}
    assert {entry["resource"]["labels"]["location"] for entry in found} == {"europe-west1"}
    assert len({entry["labels"]["instanceId"] for entry in found}) == 1


@our_choice("the terminal shows lines for people, and never lets a line write control sequences there")
def test_lines_are_shown_readably_or_as_they_came(emulator):
    program = r"""print('{"severity": "ERROR", "message": "boom \\u001b[31mred"}'); print("plain")"""
    readable = run(emulator, program, "--service", "shown").stdout.splitlines()
    assert readable[0].endswith(r"ERROR    boom \x1b[31mred")
    assert readable[1].endswith("plain")
    raw = run(emulator, program, "--service", "shown", "--raw").stdout.splitlines()
    assert raw == ['{"severity": "ERROR", "message": "boom \\u001b[31mred"}', "plain"]


@known_from(docs="https://www.gnu.org/software/bash/manual/html_node/Exit-Status.html")
@pytest.mark.parametrize(
    ("program", "code"),
    [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137), ("pass", 0), ("1/0", 1)],
)
def test_the_exit_code_is_the_command_s(emulator, program, code):
    assert run(emulator, program, "--service", "codes").returncode == code


def test_a_command_that_does_not_exist_is_said_so(emulator):
    done = cloudops("run", "--port", "0", "--", "no-such-program", **emulator.variables)
    assert done.returncode == 127
    assert "no-such-program: no such command" in done.stderr


@known_from(docs=CONTRACT)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_command_as_sigterm_and_its_farewell_is_kept(emulator, number):
    program = """
import signal, sys, time
def farewell(number, frame):
    print(f"got {number}")
    sys.exit(5)
signal.signal(signal.SIGTERM, farewell)
print("ready")
time.sleep(60)
"""
    service = f"signal-{number.name.lower()}"
    arguments = ["run", "--port", "0", "--service", service, "--", sys.executable, "-c", program]
    with started(*arguments, **emulator.variables) as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 5
    assert f"got {int(signal.SIGTERM)}" in out
    assert entries_of(emulator, service)[-1]["textPayload"] == f"got {int(signal.SIGTERM)}"


@known_from(docs=CONTRACT)
def test_a_command_that_ignores_sigterm_is_killed_with_its_children_after_the_grace_period(emulator):
    program = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(f"ready {os.getpid()} {child.pid}")
time.sleep(600)
"""
    runner = f"""
from app.emulator.run.process import RunOptions, run
options = RunOptions(command=[{sys.executable!r}, "-c", {program!r}], service="stubborn", port=0,
                     emulator={emulator.addresses["grpc"]!r}, raw=True, grace_seconds=0.5)
raise SystemExit(run(options))
"""
    backend = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", runner],
        env={**os.environ, "PYTHONPATH": str(backend), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    _, *pids = process.stdout.readline().split()
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGKILL
    process.stdout.close()
    wait_until(lambda: not any(_runs(int(pid)) for pid in pids), what="the end of the command and its child")


def _runs(pid: int) -> bool:
    """Whether a process is there and more than a zombie that its parent has not yet asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@known_from(docs=CONTRACT)
def test_what_a_command_leaves_behind_ends_with_it(emulator):
    """Cloud Run ends the whole container with its first process."""
    program = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid)
"""
    done = run(emulator, program, "--service", "leaver", "--raw")
    assert done.returncode == 0
    wait_until(lambda: not _runs(int(done.stdout)), what="the end of the child")


def test_what_the_emulator_refuses_is_counted_and_told(emulator):
    done = run(emulator, "print(1)", "--service", "refused", "--project", "other")
    assert done.returncode == 0
    assert "1 lines read, 0 entries written, 1 dropped" in done.stderr
    assert "NOT_FOUND" in done.stderr
    assert "--project" in done.stderr


@our_choice("a terminal that nobody reads and an emulator that is not there must not hold up a service")
def test_the_command_is_never_held_up(tmp_path):
    program = f"""
import sys
for number in range(20_000):
    print("x" * 100, number)
open({str(tmp_path / "done")!r}, "w").close()
"""
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    host = f"127.0.0.1:{free.getsockname()[1]}"  # bound, not listening: nobody answers
    arguments = ["run", "--port", "0", "--service", "alone", "--raw", "--", sys.executable, "-c", program]
    with started(*arguments, CLOUDOPS_EMULATOR_HOST=host) as process:
        wait_until((tmp_path / "done").exists, seconds=30, what="the end of the command, with its output unread")
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "20000 lines read, 0 entries written, 20000 dropped" in told
    assert f"emulator at {host}: UNAVAILABLE" in told
    assert "Start one with: cloudops up" in told
    free.close()


@known_from(proto="google/logging/v2/log_entry.proto")
def test_an_emulator_that_is_killed_and_comes_back_has_every_line_once(tmp_path):
    lines = 1500
    program = f"""
import time
for number in range({lines}):
    print(number)
    time.sleep(0.002)
"""
    arguments = ["--port", "0", "--service", "steady", "--raw", "--", sys.executable, "-c", program]
    with (
        emulator_process("--data-dir", str(tmp_path)) as first,
        started("run", *arguments, **first.variables) as process,
    ):
        assert process.stdout is not None
        wait_until(lambda: len(first.entries()) > 100, seconds=30, what="the arrival of 100 entries")
        first.stop(signal.SIGKILL)
        while int(process.stdout.readline()) < lines // 2:
            pass  # the command goes on meanwhile
        ports = ["--grpc-port", first.port("grpc"), "--http-port", first.port("http")]
        with emulator_process("--data-dir", str(tmp_path), *ports) as second:
            _, told = process.communicate(timeout=60)
            found = [int(entry["textPayload"]) for entry in second.entries()]
    assert f"{lines} lines read, {lines} entries written, 0 dropped" in told
    assert found == list(range(lines))


def test_a_taken_port_is_named_with_the_way_to_another():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = cloudops("run", "--port", str(port), "--", "true")
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert "--port 0" in done.stderr


@known_from(docs="https://docs.cloud.google.com/run/docs/reference/rest/v1/namespaces.services")
@pytest.mark.parametrize(
    ("folder", "name"),
    [("items", "items"), ("My App_2", "my-app-2"), ("2048", "s-2048"), ("x" * 80, "x" * 49), ("---", "s")],
)
def test_a_service_is_named_after_its_folder(folder, name):
    assert service_name(folder) == name
