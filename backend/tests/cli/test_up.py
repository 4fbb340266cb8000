"""`cloudops up` as a process: its one line, its refusals, its end."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.cli.options import seconds
from support.cloudops import cloudops, emulator_process, environment, started
from support.provenance import our_choice


def test_one_line_of_json_tells_the_addresses_and_the_rest_goes_to_stderr():
    with started(
        "up", "--grpc-port", "0", "--http-port", "0", "--project", "mine", "--evaluate-every", "2s"
    ) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        assert addresses["project"] == "mine"
        assert addresses["evaluate_every"] == "2s"
        body = {"resourceNames": ["projects/mine"]}
        assert httpx.post(f"{addresses['http']}/v2/entries:list", json=body).status_code == 200
        process.send_signal(signal.SIGTERM)
        out, told = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == ""
    assert f"CLOUDOPS_EMULATOR_HOST={addresses['grpc']}" in told
    assert addresses["http"] in told
    assert "every 2s" in told


def test_a_service_is_watched_from_the_start():
    with started("up", "--grpc-port", "0", "--http-port", "0", "--environment", "test", SERVICE_NAME="shop") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        addresses = json.loads(process.stdout.readline())
        told = next(line for line in process.stderr if "watches" in line)
        assert "shop in test" in told
        found = {
            kind: httpx.get(f"{addresses['http']}/{path}").json()[kind]
            for kind, path in {
                "alertPolicies": "v3/projects/demo/alertPolicies",
                "dashboards": "v1/projects/demo/dashboards",
                "uptimeCheckConfigs": "v3/projects/demo/uptimeCheckConfigs",
            }.items()
        }
        assert {name: len(objects) for name, objects in found.items()} == {
            kind: int(re.search(rf"(\d+) {name}", told)[1])  # type: ignore[index]  # a missing one fails the test
            for kind, name in {
                "alertPolicies": "policies",
                "dashboards": "dashboards",
                "uptimeCheckConfigs": "uptime check",
            }.items()
        }
        assert all("shop-test" in one["displayName"] for objects in found.values() for one in objects)
        runbook = found["alertPolicies"][0]["documentation"]["links"][0]["url"]
        assert httpx.get(runbook, follow_redirects=True).status_code == 200


def test_a_tls_port_comes_with_its_certificate():
    with emulator_process("--grpc-tls-port", "0") as emulator:
        certificate = Path(emulator.addresses["certificate"])
        assert certificate.read_text().startswith("-----BEGIN CERTIFICATE-----")
        assert emulator.addresses["grpc_tls"] != emulator.addresses["grpc"]
        emulator.stop()
        assert emulator.process.stderr is not None
        assert f"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH={certificate}" in emulator.process.stderr.read()


def test_ctrl_c_ends_it_with_exit_code_0():
    with emulator_process() as emulator:
        assert emulator.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("flag", ["--grpc-port", "--http-port"])
def test_a_taken_port_is_named_with_its_flag(flag):
    other = "--http-port" if flag == "--grpc-port" else "--grpc-port"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = cloudops("up", flag, port, other, "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Port {port} is taken" in done.stderr
    assert flag in done.stderr


@our_choice("who reaches it can read and change everything, so it asks for a secret")
def test_other_machines_are_let_in_only_when_told():
    done = cloudops("up", "--host", "0.0.0.0", "--grpc-port", "0", "--http-port", "0")
    assert done.returncode == 2
    assert "--allow-remote" in done.stderr
    ports = ["--grpc-port", "0", "--http-port", "0"]
    for token in ("", "short"):
        done = cloudops("up", "--host", "0.0.0.0", "--allow-remote", "--token", token, *ports)
        assert (done.returncode, "needs a token" in done.stderr) == (2, True)
    with started("up", "--host", "0.0.0.0", "--allow-remote", "--token", "sixteen-letters-!", *ports) as process:
        assert process.stderr is not None
        assert "warning" in process.stderr.readline()


@our_choice("the flags reach the emulator")
def test_clock_targets_and_token_are_as_told():
    token = "sixteen-letters-!"
    flags = ["--clock", "manual", "--token", token, "--uptime-target", "shop.example.com=127.0.0.1:1", "--notify"]
    with emulator_process(*flags, "sms=http://127.0.0.1:1/") as emulator:
        http = emulator.addresses["http"]
        assert httpx.get(f"{http}/control/clock").status_code == 401
        headers = {"Authorization": f"Bearer {token}"}
        before = httpx.get(f"{http}/control/clock", headers=headers).json()
        assert before["mode"] == "manual"
        after = httpx.post(f"{http}/control/clock/advance", json={"seconds": 60}, headers=headers).json()
        assert int(after["nanoseconds"]) - int(before["nanoseconds"]) == 60 * 10**9


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    done = cloudops("up", "--grpc-port", "0", "--http-port", "0", "--data-dir", str(tmp_path / "file" / "deeper"))
    assert done.returncode == 1
    assert "file/deeper" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--evaluate-every", "soon"],
        ["--evaluate-every", "0s"],
        ["--project", "No Id"],
        ["--grpc-port", "-1"],
        ["--clock", "sundial"],
        ["--clock", "0x"],
        ["--uptime-target", "a=b"],
        ["--service", "No Such Name"],
        ["--environment", "Dev", "--service", "shop"],
        ["--smtp", "here"],
        ["--notify", "slack"],
    ],
)
def test_a_wrong_option_is_refused_with_exit_code_2(arguments):
    done = cloudops("up", "--http-port", "0", "--grpc-port", "0", *arguments)
    assert done.returncode == 2
    assert arguments[0].lstrip("-") in done.stderr or arguments[1] in done.stderr


@pytest.mark.parametrize(
    ("text", "value"), [("2s", 2), ("90m", 5400), ("1.5h", 5400), ("60", 60), ("250ms", 0.25), ("1d", 86_400)]
)
def test_a_length_of_time_is_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("verb", "example"),
    [
        ("up", "cloudops up --data-dir .cloudops"),
        ("run", "cloudops run --service items -- uvicorn"),
        ("apply", "cloudops apply terraform/monitoring --var service=items"),
        ("query", "cloudops query 'rate(http_request_total[1m])' --last 1h"),
        ("logs", "cloudops logs 'severity>=ERROR'"),
        ("test", "cloudops test alerts/tests"),
    ],
)
def test_every_verb_explains_itself_with_examples(verb, example):
    done = cloudops(verb, "--help", COLUMNS="200", NO_COLOR="1")
    assert done.returncode == 0
    assert example in done.stdout
    assert "\x1b" not in done.stdout


def test_the_version_is_told():
    done = cloudops("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("cloudops")


@pytest.mark.parametrize("missing", ["typer", "grpc"])
def test_without_the_extra_the_line_to_install_it_is_told(missing):
    """A finder that hides one package stands for an environment without it."""
    program = f"""
import sys
class Hidden:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
from app.cli import main
sys.argv = ["cloudops", "up"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "pip install 'fastapi-cloudops[emulator]'" in done.stderr
    assert "Traceback" not in done.stderr


@our_choice("a command line answers at once")
def test_help_loads_neither_grpc_nor_numpy_nor_the_library():
    program = """
import sys
from app.cli import main
sys.argv = ["cloudops", "--help"]
try:
    main()
except SystemExit:
    pass
heavy = {"grpc", "numpy", "httpx", "lark", "google.protobuf", "app.core", "fastapi"} & sys.modules.keys()
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
