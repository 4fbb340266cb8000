"""docs/pictures/console.png: the emulator's page while an alert fires. Six minutes; look at the picture afterwards.

    python backend/tools/console_picture.py

The service of docs/guides/getting-started.md beneath `cloudops run` has ordinary traffic, then a quarter of its answers
fail until `high_error_rate` opens. The uptime check is left out: nobody answers TLS here.
"""

import math
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx

ROOT: Final = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "backend"), str(ROOT / "backend" / "tests")]

from support.browser import chromium  # noqa: E402  # after the path is set
from support.cloudops import EmulatorProcess, cloudops, command, emulator_process, started  # noqa: E402  # as above
from support.servers import free_port  # noqa: E402  # as above
from support.waiting import wait_until  # noqa: E402  # as above

PICTURE: Final = ROOT / "docs" / "pictures" / "console.png"
WIDTH, HEIGHT = 1440, 900
GOOD_SECONDS, MOST_BAD_SECONDS = 210, 240
FAILING = 0.25


def main() -> None:
    service, front = str(free_port()), str(free_port())
    values = ["service=shop", "environment=dev", "host=localhost", "policies=default,-service_down"]
    variables = [word for value in values for word in ("--var", value)]
    settings = ["--env", "ENVIRONMENT=dev", "--env", "METRICS_EXPORT_INTERVAL=10"]
    run = ["run", "--service", "shop", *settings, "--port", service, "--listen", front, "--"]
    run += ["uvicorn", "new_app:app", "--port", service]
    path = os.pathsep.join([str(Path(command()[0]).parent), os.environ["PATH"]])
    example = f"{ROOT / 'backend'}:{ROOT / 'docs' / 'examples' / 'adoption'}"
    with emulator_process("--evaluate-every", "2s") as emulator:
        applied = cloudops("apply", str(ROOT / "terraform" / "monitoring"), *variables, **emulator.variables)
        if applied.returncode:
            sys.exit(applied.stderr)
        with started(*run, **emulator.variables, PATH=path, PYTHONPATH=example):
            _play(f"http://127.0.0.1:{front}", emulator)
            _photograph(emulator.addresses["http"])


def _play(front: str, emulator: EmulatorProcess) -> None:
    draw = random.Random(7)  # noqa: S311  # nothing is secret here
    with httpx.Client(base_url=front, timeout=10) as client:
        wait_until(lambda: _answers(client), seconds=60, what="the service")
        began = time.monotonic()
        while (now := time.monotonic() - began) < GOOD_SECONDS + MOST_BAD_SECONDS:
            failing = FAILING if now > GOOD_SECONDS else 0.0
            for _ in range(6 + int(3 * math.sin(now / 40))):
                client.post(f"/orders/{0 if draw.random() < failing else draw.randint(1, 50)}")
            if failing and _opened(emulator):
                return
            time.sleep(max(0.0, 1.0 - (time.monotonic() - began - now)))
    sys.exit("no alert has opened")


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").is_success
    except httpx.HTTPError:
        return False


def _opened(emulator: EmulatorProcess) -> bool:
    answer = httpx.get(f"{emulator.addresses['http']}/v3/projects/demo/alerts", timeout=10).json()
    names = [one["policy"]["displayName"] for one in answer.get("alerts", [])]
    return "High error rate on shop-dev" in names


def _photograph(page: str) -> None:
    with (
        tempfile.TemporaryDirectory() as profile,
        chromium(Path(profile)) as browser,
        browser.tab(WIDTH, HEIGHT) as tab,
    ):
        tab.prefer("light")
        tab.open(page)
        tab.until("document.body?.innerText.includes('High error rate on shop-dev')", "the incident on the page")
        tab.until("document.querySelectorAll('canvas').length > 3", "the charts")
        time.sleep(3)  # the curves are drawn with the next poll
        PICTURE.parent.mkdir(exist_ok=True)
        tab.screenshot(PICTURE)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
