"""Line and column of every field of a document, and of a character inside a text of it."""

import json
import re
from typing import NamedTuple

import yaml

_TOKEN = re.compile(r"\$\$\{|%%\{|\$\{[^}]*\}")


class Place(NamedTuple):
    line: int
    column: int


class Places:
    """Counted from 1, in the text that was parsed: of a template, the rendered one, whose lines are the template's."""

    def __init__(self, text: str, *, is_json: bool) -> None:
        self._lines = text.split("\n")
        self._is_json = is_json
        self._nodes: dict[str, yaml.Node] = {}
        self._keys: dict[str, yaml.Node] = {}
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            # JSON without tabs is YAML.
            root = yaml.compose(text.replace("\t", " "), Loader=loader)
        except yaml.YAMLError:
            root = None
        if root is not None:
            self._walk(root, "")

    def _walk(self, node: yaml.Node, path: str) -> None:
        self._nodes[path] = node
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = f"{path}.{key.value}" if path else str(key.value)
                self._keys[here] = key
                self._walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._walk(value, f"{path}[{index}]")

    def of(self, path: str) -> Place | None:
        """Of a field (its name), or of the nearest thing around it."""
        while path not in self._nodes and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        node = self._keys.get(path) or self._nodes.get(path)
        return None if node is None else Place(node.start_mark.line + 1, node.start_mark.column + 1)

    def scalar(self, path: str) -> str | None:
        """The text that stands at a path."""
        node = self._nodes.get(path)
        return str(node.value) if isinstance(node, yaml.ScalarNode) else None

    def inside(self, path: str, text: str, position: int) -> Place | None:
        """Of the character at `position` of the text that stands at `path`."""
        node = self._nodes.get(path)
        if not isinstance(node, yaml.ScalarNode):
            return self.of(path)
        line, column = node.start_mark.line, node.start_mark.column
        if node.style in {"|", ">"}:
            before = text[:position]
            row = line + 1 + before.count("\n")
            if node.style == ">" or row >= len(self._lines):
                return Place(line + 1, column + 1)
            shown = self._lines[line + 1]
            indent = len(shown) - len(shown.lstrip(" ")) - (len(text) - len(text.lstrip(" ")))
            return Place(row + 1, indent + len(before) - (before.rfind("\n") + 1) + 1)
        written = text[:position]
        if self._is_json or node.style == '"':
            written = json.dumps(written, ensure_ascii=False)[1:-1]
        return Place(line + 1, column + (1 if node.style else 0) + len(written) + 1)


def in_template(place: Place | None, template: str, rendered: str) -> Place | None:
    """The same place in the template; a character that a value brought is at the `${` that brought it."""
    if place is None:
        return None
    before, after = template.split("\n"), rendered.split("\n")
    if len(before) != len(after) or place.line > len(before):
        return place
    line, shown = before[place.line - 1], after[place.line - 1]
    at_line = at_shown = 0
    for token in _TOKEN.finditer(line):
        plain = token.start() - at_line
        if place.column - 1 < at_shown + plain:
            break
        following = line[token.end() :].partition("${")[0]
        end = shown.find(following, at_shown + plain) if following else len(shown)
        if place.column - 1 < end or end < 0:
            return Place(place.line, token.start() + 1)
        at_line, at_shown = token.end(), end
    return Place(place.line, at_line + (place.column - 1 - at_shown) + 1)
