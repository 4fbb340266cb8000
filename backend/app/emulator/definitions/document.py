"""YAML and JSON with line numbers, in the part of YAML that every reader understands alike."""

import json
import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed leaves it out
from typing import Any, NamedTuple

import yaml

from .errors import DefinitionError, at

# Paths look like `conditions[0].displayName`; "" is the whole document.
Lines = dict[str, int]


class Document(NamedTuple):
    data: Any
    lines: Lines

    def line(self, path: str) -> int | None:
        """The line of a path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path)


def child(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def parse(text: str, file: str) -> Document:
    """Read a document; JSON when the file's name says so.

    Raises:
        DefinitionError: With file and line, also for duplicate keys and for YAML that readers disagree about.
    """
    if ".json" in file.rpartition("/")[2]:
        return _JsonReader(text, file).read()
    return _parse_yaml(text, file)


# What a plain scalar means in YAML 1.2's core schema (yaml.org/spec/1.2.2, 10.3.2).
_CORE = (
    ("tag:yaml.org,2002:null", re.compile(r"null|Null|NULL|~|")),
    ("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)")),
    ("tag:yaml.org,2002:float", re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+")),
)
# ... and what some reader takes for something else: YAML 1.1's yes, 12:30 and 010, 1.2's 0o7 and 1e3, dates, merges.
_DOUBTFUL = re.compile(
    r"y|n|yes|no|on|off|<<|=|[-+]?\.(?:inf|nan)|[-+.]?[0-9][0-9_.,:eEoOxXa-fA-F+-]*|\d{4}-\d\d?-\d\d?.*", re.IGNORECASE
)


def _parse_yaml(text: str, file: str) -> Document:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise DefinitionError(at(file, line, f"not YAML: {error.problem or error.context}")) from error
    except yaml.YAMLError as error:
        raise DefinitionError(at(file, None, f"not YAML: {error}")) from error
    if root is None:
        raise DefinitionError(at(file, None, "the file is empty"))
    lines: Lines = {}
    return Document(_yaml_value(root, "", file, lines, set()), lines)


def _yaml_value(node: yaml.Node, path: str, file: str, lines: Lines, above: set[int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in above:
        raise DefinitionError(at(file, node.start_mark.line + 1, "an alias refers to what contains it"))
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _yaml_value(key_node, child(path, "?"), file, {}, above)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise DefinitionError(at(file, line, f"a key must be text, not {key!r}: quote it"))
            if key in mapping:
                raise DefinitionError(at(file, line, f"{child(path, key)} appears twice"))
            lines[child(path, key)] = line
            mapping[key] = _yaml_value(value_node, child(path, key), file, lines, above)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_yaml_value(item, child(path, i), file, lines, above) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _yaml_scalar(node, file)
    raise TypeError(f"PyYAML has no node of type {type(node).__name__}")


def _yaml_scalar(node: yaml.ScalarNode, file: str) -> Any:
    text: str = node.value
    if node.style is not None or (node.tag == "tag:yaml.org,2002:str" and not _DOUBTFUL.fullmatch(text)):
        return text
    for tag, pattern in _CORE:
        if pattern.fullmatch(text):
            return _CONSTRUCT[tag](text)
    raise DefinitionError(
        at(
            file,
            node.start_mark.line + 1,
            f'{text} means different things to different readers of YAML: write "{text}"',
        )
    )


_CONSTRUCT: dict[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:null": lambda _: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
}


class _JsonReader:
    """The standard library's scanner, asked piece by piece, because it alone does not tell where a value stood."""

    _SPACE = re.compile(r"[ \t\r\n]*")

    def __init__(self, text: str, file: str) -> None:
        self._text = text.removeprefix("\ufeff")
        self._file = file
        self._lines: Lines = {}
        self._scalar = json.JSONDecoder(parse_constant=self._no_constant).raw_decode

    def read(self) -> Document:
        try:
            data, end = self._value(self._skip(0), "", 0)
        except json.JSONDecodeError as error:
            raise DefinitionError(at(self._file, error.lineno, f"not JSON: {error.msg}")) from error
        end = self._skip(end)
        if end != len(self._text):
            raise DefinitionError(at(self._file, self._line(end), "not JSON: text after the end of the document"))
        return Document(data, self._lines)

    def _line(self, position: int) -> int:
        return self._text.count("\n", 0, position) + 1

    def _skip(self, position: int) -> int:
        match = self._SPACE.match(self._text, position)
        return match.end() if match else position

    def _no_constant(self, name: str) -> Any:
        raise json.JSONDecodeError(f"{name} is no JSON value", self._text, self._text.find(name))

    def _value(self, position: int, path: str, depth: int) -> tuple[Any, int]:
        self._lines.setdefault(path, self._line(position))
        if depth > 100:  # noqa: PLR2004  # no API object is that deep; Python's own stack is
            raise json.JSONDecodeError("nested too deeply", self._text, position)
        opening = self._text[position : position + 1]
        if opening == "{":
            return self._object(position, path, depth)
        if opening == "[":
            return self._array(position, path, depth)
        return self._scalar(self._text, position)

    def _object(self, position: int, path: str, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        position = self._skip(position + 1)
        if self._text[position : position + 1] == "}":
            return found, position + 1
        while True:
            if self._text[position : position + 1] != '"':
                raise json.JSONDecodeError("Expecting property name enclosed in double quotes", self._text, position)
            start = position
            key, position = scanstring(self._text, position + 1, True)
            if key in found:
                raise DefinitionError(at(self._file, self._line(start), f"{child(path, key)} appears twice"))
            self._lines[child(path, key)] = self._line(start)
            position = self._expect(":", self._skip(position))
            found[key], position = self._value(self._skip(position), child(path, key), depth + 1)
            position = self._skip(position)
            if self._text[position : position + 1] == "}":
                return found, position + 1
            position = self._skip(self._expect(",", position))

    def _array(self, position: int, path: str, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        position = self._skip(position + 1)
        if self._text[position : position + 1] == "]":
            return found, position + 1
        while True:
            value, position = self._value(self._skip(position), child(path, len(found)), depth + 1)
            found.append(value)
            position = self._skip(position)
            if self._text[position : position + 1] == "]":
                return found, position + 1
            position = self._skip(self._expect(",", position))

    def _expect(self, sign: str, position: int) -> int:
        if self._text[position : position + 1] != sign:
            raise json.JSONDecodeError(f"Expecting '{sign}'", self._text, position)
        return position + 1
