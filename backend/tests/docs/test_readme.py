"""README.md, followed: its first service beneath `cloudops run`, asked by its own commands, on free ports."""

import os
import re
import shlex
from pathlib import Path

import httpx

from support.cloudops import cloudops, command, emulator_process, started
from support.servers import free_port
from support.waiting import wait_until
from tools.reference_pages import PAGES, ROOT

README = (ROOT / "README.md").read_text()


def line(beginning: str) -> list[str]:
    """The words after `cloudops` of the command that begins so."""
    [found] = [one for one in re.findall(r"^cloudops (.+)$", README, re.MULTILINE) if one.startswith(beginning)]
    return shlex.split(found, comments=True)


def test_the_first_service_is_seen_by_the_commands_of_the_page(tmp_path):
    (tmp_path / "main.py").write_text((ROOT / "docs" / "examples" / "first_service.py").read_text())
    port, front = str(free_port()), str(free_port())
    words = line("run")
    assert words[-1] == "8080"
    words[-1] = port
    end = words.index("--")
    words[end:end] = ["--port", port, "--listen", front, "--env", "METRICS_EXPORT_INTERVAL=10"]
    path = os.pathsep.join([str(Path(command()[0]).parent), os.environ["PATH"]])  # uvicorn is beside it
    python_path = f"{ROOT / 'backend'}:{tmp_path}"
    with (
        emulator_process(*line("up")[1:]) as emulator,
        started(*words, **emulator.variables, PATH=path, PYTHONPATH=python_path),
    ):

        def asked() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{front}/items/7", timeout=5).text == '{"id":7}'
            except httpx.HTTPError:
                return False

        def printed(beginning: str) -> str:
            words = [word for word in line(beginning) if word != "--follow"]
            answer = cloudops(*words, **emulator.variables)
            assert answer.returncode == 0, answer.stderr
            return answer.stdout

        wait_until(asked, seconds=60, what="the first answer")
        assert httpx.get(f"http://127.0.0.1:{front}/items/seven", timeout=5).status_code == 422
        wait_until(lambda: "422" in printed("logs"), seconds=30, what="the warning in the log")

        def counted() -> bool:
            asked()  # a rate needs two points
            return "/items/{item_id}" in printed("query")

        wait_until(counted, seconds=90, what="the rate of the route")


def test_the_data_of_the_project_has_no_finding():
    answer = cloudops(*line("lint"))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_first_screen_counts_the_policies_that_there_are():
    [told] = re.findall(r"(\d+) alert policies", README)
    assert int(told) == len(re.findall(r"^## ", PAGES["policies.md"](), re.MULTILINE))


def test_the_first_screen_has_its_picture():
    """Made by backend/tools/console_picture.py."""
    [picture] = re.findall(r"^!\[.+\]\((.+)\)$", README, re.MULTILINE)
    head = (ROOT / picture).read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
    assert 1000 <= width <= 2000
    assert height < width
