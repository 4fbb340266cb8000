"""Templates as Terraform's `templatefile` reads them, cut down to plain `${name}`."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from .errors import DefinitionError, at, closest

# `$${` and `%%{` are HCL's escapes for literals (developer.hashicorp.com/terraform/language/expressions/strings).
_TOKEN = re.compile(r"\$\$\{|%%\{|%\{|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_NAME = re.compile(r"\s*([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)\s*")


def names(text: str) -> Iterator[str]:
    """The names that a template uses, in order."""
    for token in _TOKEN.finditer(text):
        name = _NAME.fullmatch(token["inside"] or "")
        if name is not None:
            yield name[1]


def render(text: str, values: Mapping[str, Any], file: str = "template", *, inside_json: bool = False) -> str:
    """Replace `${name}` by its value, printed as HCL prints it; dotted names lead into nested mappings.

    Args:
        text: The template.
        values: What its names stand for.
        file: Its name, for errors.
        inside_json: Values stand inside JSON strings, so their quotes and backslashes are escaped.

    Raises:
        DefinitionError: Every unknown name, expression or directive, with its line.
    """
    problems: list[str] = []

    def replace(token: re.Match[str]) -> str:
        line = text.count("\n", 0, token.start()) + 1
        if token[0] in {"$${", "%%{"}:
            return token[0][1:]
        if token[0] == "%{":
            problems.append(at(file, line, "%{...} directives are not read: templates hold plain ${name} only"))
            return ""
        name = _NAME.fullmatch(token["inside"])
        if not token["end"] or name is None:
            shown = token["inside"].split("\n")[0]
            problems.append(at(file, line, f"${{{shown}}} is not a plain dotted name (a literal ${{ is written $${{)"))
            return ""
        found, value = _look_up(values, name[1])
        if not found:
            hint = closest(name[1], known_names(values)) or f"; give it one: --var {name[1]}=VALUE"
            problems.append(at(file, line, f"${{{name[1]}}} has no value{hint}"))
            return ""
        try:
            return json.dumps(printed(value))[1:-1] if inside_json else printed(value)
        except ValueError as error:
            problems.append(at(file, line, f"${{{name[1]}}} {error}"))
            return ""

    rendered = _TOKEN.sub(replace, text)
    if problems:
        raise DefinitionError(*problems)
    return rendered


def known_names(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from known_names(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def printed(value: Any) -> str:
    """A value as HCL interpolates it: true, 1 for 1.0, no exponents."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        number = Decimal(repr(value))
        if not number.is_finite():
            raise ValueError(f"is {value}, which HCL has no number for")
        text = format(number, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, str):
        return value
    raise ValueError(f"is a {type(value).__name__}, which cannot be put into text")


def _look_up(values: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    if name in values:
        return True, values[name]
    here: Any = values
    for part in name.split("."):
        if not isinstance(here, Mapping) or part not in here:
            return False, None
        here = here[part]
    return True, here
