"""The examples of the guides about adopting the library, as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.reference_pages import ROOT

EXAMPLES = ROOT / "docs" / "examples" / "adoption"
GUIDES = [
    ROOT / "docs" / "guides" / f"{name}.md"
    for name in ("getting-started", "adopting", "testing-telemetry", "platforms")
]
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"
ENVIRONMENT = {
    "SERVICE_NAME": "shop",
    "ENVIRONMENT": "production",
    "ENABLE_TRACING": "false",
    "METRICS_BACKEND": "none",
    "LOG_FORMAT": "text",
    "HOSTNAME": "vm",
    "TZ": "UTC",
}
# What differs from run to run, as it is shown.
SHOWN = (
    (r"\d\d:\d\d:\d\d\.\d{3}", "09:30:00.123"),
    (r"\b\d+(\.\d+)? m?s\b", "1.89 ms"),
    (r"request_id=[0-9a-f]{8}…", "request_id=0af76519…"),
    (r" background_seconds=[0-9.]+", ""),
)
RUN = [one for one in sorted(EXAMPLES.glob("*.py")) if one.stem not in {"new_app", "test_new_app"}]


def _environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **ENVIRONMENT, **more}


@pytest.mark.parametrize("example", RUN, ids=lambda example: example.stem)
def test_an_example_prints_what_its_guide_shows(example):
    answer = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, check=False, env=_environment(), timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines(keepends=True)
    shown = "".join(line for line in lines if not line.endswith((" [httpx]\n", " [asyncio]\n")))
    for pattern, replacement in SHOWN:
        shown = re.sub(pattern, replacement, shown)
    page = example.with_suffix(".out.txt")
    if UPDATE:
        page.write_text(shown)
    assert page.read_text() == shown


def test_the_tests_of_the_guide_pass_as_they_stand(tmp_path):
    for name in ("new_app.py", "test_new_app.py"):
        (tmp_path / name).write_text((EXAMPLES / name).read_text())
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-o",
        "anyio_mode=auto",
    ]
    answer = subprocess.run(
        [*command, "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)],
        cwd=tmp_path,
        env=_environment(ENABLE_TRACING="true", PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "2 passed" in answer.stdout, answer.stdout + answer.stderr


def test_every_example_stands_in_a_guide():
    text = "".join(guide.read_text() for guide in GUIDES)
    for example in EXAMPLES.glob("*.*"):
        assert f"<!-- {example.relative_to(ROOT)} -->" in text, example.name


def test_an_example_with_output_is_shown_with_it():
    text = "".join(Path(guide).read_text() for guide in GUIDES)
    for page in EXAMPLES.glob("*.out.txt"):
        assert text.index(page.name.replace(".out.txt", ".py")) < text.index(page.name)
