"""Whether the programs of a shell block would take what they are told. Nothing is run."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .words import simple_commands

ROOT = Path(__file__).parents[3]


def commands(block: str) -> str:
    """Of a block with prompts its commands; one without has nothing else."""
    joined = re.sub(r"\\\n\s*", " ", block)
    lines = joined.splitlines()
    prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return "\n".join(prompted or lines) + "\n"


def problems(block: str) -> Iterator[str]:
    text = commands(block)
    parsed = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if parsed.returncode:
        yield parsed.stderr.strip()
        return
    for words in simple_commands(text):
        program, arguments = words[0], words[1:]
        if program not in _PROGRAMS:
            yield f"{program}: nobody checks this program; say in support/shell.py how"
        elif why := _PROGRAMS[program](arguments):
            yield f"{' '.join(words)}: {why}"


def _make(words: list[str]) -> str:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    variables = set(re.findall(r"^(\w+)\s*\??:?=", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = {word for word in words if "=" not in word}
    given = {word.partition("=")[0] for word in words if "=" in word} - {"PROJECT"}
    return (
        ""
        if asked <= targets and given <= variables
        else f"no target {asked - targets}, no variable {given - variables}"
    )


@cache
def _extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {*project["optional-dependencies"]}


def _pip(words: list[str]) -> str:
    if words[:1] != ["install"]:
        return "pip is only told to install"
    asked = {extra for word in words for extra in "".join(re.findall(r"^fastapi-cloudops\[(.*)\]$", word)).split(",")}
    unknown = asked - _extras() - {""}
    return f"no extra {unknown}" if unknown else ""


def _python(words: list[str]) -> str:
    match words:
        case ["-c", code, *_]:
            compile(code, "<document>", "exec")
            return ""
        case ["-m", module, *_]:
            return "" if find_spec(module) else f"no module {module}"
        case [script, *_]:
            return "" if Path(ROOT / script).exists() or "/" not in script else f"no file {script}"
    return "without a word"


def _uvicorn(words: list[str]) -> str:
    from uvicorn.main import main  # noqa: PLC0415  # slow

    try:
        main.make_context("uvicorn", list(words))
    except Exception as error:  # noqa: BLE001  # click's own, wherever it is kept
        return str(getattr(error, "message", error))
    return ""


_GUNICORN = "import sys; from gunicorn.config import Config; Config().parser().parse_args(sys.argv[1:])"


def _gunicorn(words: list[str]) -> str:
    answer = subprocess.run([sys.executable, "-c", _GUNICORN, *words], capture_output=True, text=True, check=False)
    return answer.stderr.strip()


def _terraform(words: list[str]) -> str:
    known = {"init", "plan", "apply", "import", "output", "show"}
    return "" if known & set(words[:1]) else "no verb of Terraform's that our documents need"


def _taken(words: list[str]) -> str:
    """Of the shell and of the machine: `bash -n` has looked at it."""
    return ""


_PROGRAMS: dict[str, Callable[[list[str]], str]] = {
    "cloudops": _taken,  # tests/docs/test_commands.py asks the command line itself
    "make": _make,
    "pip": _pip,
    "python": _python,
    "python3": _python,
    "uvicorn": _uvicorn,
    "gunicorn": _gunicorn,
    "terraform": _terraform,
    **dict.fromkeys([".", "cd", "curl", "echo", "export", "gcloud", "openssl", "redis-cli", "seq", "xargs"], _taken),
}
