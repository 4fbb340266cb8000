"""The provider's schema: read from schema/*.json, told to Terraform, and used to fill, check and convert values."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FILES = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "schema").glob("*.json"))]
_SHARED = {name: facts for file in _FILES for name, facts in file.get("shared_blocks", {}).items()}
_TYPES: dict[str, Any] = {
    "string": "string",
    "bool": "bool",
    "number": "number",
    "list(number)": ["list", "number"],
    "list(string)": ["list", "string"],
    "map(string)": ["map", "string"],
    "set(string)": ["set", "string"],
}
_WORDS = {"required", "optional", "computed", "local", "replaces", "sensitive", "write_only"}
# The version that a running stand-in answers as; without it everything is known, as tests want it.
_VERSION = os.environ.get("CLOUDOPS_STANDIN_VERSION", "")


@dataclass(frozen=True)
class Attribute:
    type: str
    words: frozenset[str]
    default: Any = None
    values: tuple[str, ...] = ()

    @property
    def wire_type(self) -> bytes:
        """The type as Terraform writes it: cty's JSON."""
        return json.dumps(_TYPES[self.type]).encode()


@dataclass(frozen=True)
class Block:
    attributes: dict[str, Attribute]
    blocks: dict[str, "Nested"]
    fields: Mapping[str, str] = field(default_factory=dict)
    """Names of the API that are not the argument's in camel case."""


@dataclass(frozen=True)
class Nested:
    block: Block
    least: int = 0
    most: int = 0
    local: bool = False
    computed: bool = False
    is_set: bool = False


@dataclass(frozen=True)
class Resource:
    block: Block
    collection: str
    api: str = "monitoring"
    update: str = "patch"
    update_mask: tuple[str, ...] = ()
    always_sent: frozenset[str] = field(default_factory=frozenset)
    create_query: Mapping[str, str] = field(default_factory=dict)
    constant: Mapping[str, Any] = field(default_factory=dict)
    iam: str = ""
    """For one member of a role: the verb that reads the policy."""


def _known(text: str) -> bool:
    """Whether the version that is played has an attribute yet."""
    since = re.search(r"\bsince(\S+)", text)
    return since is None or not _VERSION or _number(since[1]) <= _number(_VERSION)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))[:2]


def _attribute(text: str, default: Any, values: list[str]) -> Attribute:
    *words, kind = text.split()
    words = [word for word in words if not word.startswith("since")]
    if unknown := set(words) - _WORDS:
        raise ValueError(f"schema: unknown words {sorted(unknown)} in {text!r}")
    if kind not in _TYPES:
        raise ValueError(f"schema: unknown type in {text!r}")
    return Attribute(kind, frozenset(words), default, tuple(values))


def _block(facts: dict[str, Any]) -> Block:
    defaults, values = facts.get("defaults", {}), facts.get("values", {})
    return Block(
        {
            name: _attribute(text, defaults.get(name), values.get(name, []))
            for name, text in facts["attributes"].items()
            if _known(text)
        },
        {name: _nested(nested) for name, nested in facts.get("blocks", {}).items()},
        facts.get("fields", {}),
    )


def _nested(facts: dict[str, Any]) -> Nested:
    if "same_as" in facts:
        facts = _SHARED[facts["same_as"]]
    return Nested(
        _block(facts),
        facts.get("min", 0),
        facts.get("max", 0),
        local=facts.get("local", False),
        computed=facts.get("computed", False),
        is_set=facts.get("set", False),
    )


def _resource(facts: dict[str, Any]) -> Resource:
    return Resource(
        _block(facts),
        facts["collection"],
        facts.get("api", "monitoring"),
        facts.get("update", "patch"),
        tuple(facts.get("update_mask", ())),
        frozenset(facts.get("always_sent", ())),
        facts.get("create_query", {}),
        facts.get("constant", {}),
        facts.get("iam", ""),
    )


(PROVIDER,) = [_block(file["provider"]) for file in _FILES if "provider" in file]
RESOURCES = {name: _resource(facts) for file in _FILES for name, facts in file["resources"].items()}
