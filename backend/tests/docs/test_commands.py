"""Links lead somewhere, and every `cloudops` command in a document is one that the command line takes."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from app.cli import doctor
from app.cli.commands import app
from tools.reference_pages import ROOT

PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "terraform").rglob("*.md")})
COMMANDS: Any = typer.main.get_command(app)
_ENDS = {"&&", "||", "|", ";", ">", ">>", "&"}


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """(line, command) of each line of a console or shell block."""
    for block in re.finditer(r"^[ ]*```(?:console|sh|bash)\n(.*?)^[ ]*```", text, re.DOTALL | re.MULTILINE):
        first = text[: block.start(1)].count("\n") + 1
        joined = re.sub(r"\\\n\s*", " ", block[1])
        for number, line in enumerate(joined.splitlines()):
            yield first + number, line.strip()


def commands_in(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line, words after `cloudops`) of each command."""
    for number, line in _blocks(text):
        if "cloudops " not in f"{line} ":
            continue
        try:
            words = shlex.split(line.removeprefix("$ "), comments=True)
        except ValueError:  # a line of somebody's output
            continue
        while words:
            end = next((place for place, word in enumerate(words) if word in _ENDS), len(words))
            one, words = words[:end], words[end + 1 :]
            while one and ("=" in one[0] or one[0] in {"$", "time"}):
                one = one[1:]
            if one and one[0] == "cloudops" and not "".join(one[1:2]).endswith(":"):  # what it prints itself
                yield number, one[1:]


def refused(words: list[str]) -> str:
    """Why the command line does not take it; empty if it does. Nothing is run."""
    if not words or words[0] in {"--help", "-h", "--version"}:
        return ""
    if words[0] == "doctor":
        try:
            doctor.parser().parse_args(words[1:])
        except SystemExit:
            return f"doctor: {' '.join(words[1:])}"
        return ""
    command = COMMANDS
    names: list[str] = []
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            return f"no verb {' '.join([*names, *words[:1]])}"
        names.append(words[0])
        command, words = command.commands[words[0]], words[1:]
    if {"-h", "--help"} & set(words):
        return ""
    try:
        command.make_context(names[-1], list(words))
    except Exception as error:  # noqa: BLE001  # click's own, wherever typer keeps its click
        message = str(getattr(error, "format_message", lambda: "")()) or type(error).__name__
        # The files that a guide names are the reader's.
        return "" if "does not exist" in message else message
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_a_document_is_one_that_the_command_line_takes(page):
    found = [f"line {line}: {why}" for line, words in commands_in(page.read_text()) if (why := refused(words))]
    assert found == []


def test_the_examples_in_the_help_are_taken_too():
    texts = [*(command.help or "" for command in COMMANDS.commands.values()), doctor.EXAMPLES]
    examples = [line.strip() for text in texts for line in text.splitlines() if line.strip().startswith("cloudops ")]
    found = [(line, refused(words)) for line in examples for _, words in commands_in(f"```sh\n{line}\n```")]
    assert len(found) > 10
    assert [one for one in found if one[1]] == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("cloudops fly", "no verb fly"),
        ("cloudops up --nonsense", "No such option"),
        ("cloudops doctor --nonsense", "doctor: --nonsense"),
        ("A=1 cloudops lint --prizes", "No such option"),
        ("cloudops snooze high_error_rate", "Missing"),
    ],
)
def test_a_wrong_command_is_noticed(line, why):
    [(_, words)] = commands_in(f"```console\n$ {line}  # so\n```")
    assert why in refused(words)


def _anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    found: set[str] = set()
    for heading in re.findall(
        r"^#{1,6} (.+?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    ):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    text = page.read_text()
    without_code = re.sub(r"^[ ]*```.*?^[ ]*```", "", text, flags=re.DOTALL | re.MULTILINE)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else page.parent / path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target.read_text())):
            broken.append(link)
    assert broken == []
