"""docs/reference/cli.md: every verb with its options, from the parsers themselves."""

import argparse
import re
from collections.abc import Iterator
from typing import Any

import typer

from app.cli import doctor
from app.cli.commands import app

_EXAMPLES = "Examples"


def page(note: str) -> str:
    """The page; `note` says who wrote it."""
    lines = [
        "# Command line",
        "",
        note,
        "",
        "`cloudops VERB --help` says the same. Exit codes, unless a verb says otherwise: 0 done, 1 it could not be",
        "done, 2 it was called wrongly.",
    ]
    group: Any = typer.main.get_command(app)
    for name, command in _commands("", group):
        lines += ["", f"## {name}", ""]
        if name == "doctor":
            lines += _doctor()
            continue
        lines += [*_text(command.help or ""), *_options(command.params)]
    return "\n".join(lines) + "\n"


def _commands(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _commands(f"{prefix}{name} ", command)
        else:
            yield f"{prefix}{name}", command


def _text(text: str) -> list[str]:
    """Paragraphs; examples as one block."""
    plain = re.sub(r"\[/?bold\]", "", text).strip()
    before, _, examples = plain.partition(f"\n{_EXAMPLES}\n")
    lines = before.strip().splitlines()
    shown = [line.strip() for line in examples.splitlines() if line.strip()]
    return [*lines, *(["", "```console", *shown, "```"] if shown else [])]


def _options(parameters: list[Any]) -> Iterator[str]:
    shown = [one for one in parameters if not getattr(one, "hidden", False) and one.name != "help"]
    if shown:
        yield ""
        yield "| option | default | meaning |"
        yield "| --- | --- | --- |"
    for one in shown:
        argument = one.param_type_name == "argument"
        names = (
            f"`{one.name.upper()}`" if argument else ", ".join(f"`{name}`" for name in one.opts + one.secondary_opts)
        )
        default = one.default
        told = "" if default in {None, False, ""} or callable(default) or one.required else f"`{default}`"
        yield f"| {names} | {told} | {_cell(getattr(one, 'help', '') or '')} |"


def _doctor() -> Iterator[str]:
    yield from doctor.HELP.splitlines()
    yield from ["", "```console", *(line.strip() for line in doctor.EXAMPLES.splitlines()[1:] if line.strip()), "```"]
    yield from ["", "| option | default | meaning |", "| --- | --- | --- |"]
    for action in doctor.parser()._actions:  # noqa: SLF001  # argparse tells its options in no other way
        if not isinstance(action, argparse._HelpAction):  # noqa: SLF001  # as above
            names = ", ".join(f"`{name}`" for name in action.option_strings)
            # Of the environment: it differs from one machine to the next.
            from_environment = re.search(r"\([A-Z_]+[;)]", action.help or "") is not None
            default = "" if from_environment or action.default in (None, False, "", []) else f"`{action.default}`"
            meaning = re.sub(r"; now: %\(default\)s", "", action.help or "")
            yield f"| {names} | {default} | {_cell(meaning[:1].upper() + meaning[1:])} |"


def _cell(text: str) -> str:
    return re.sub(r"\[/?bold\]", "", " ".join(text.split())).replace("|", "\\|")
