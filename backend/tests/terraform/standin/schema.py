"""The provider's schema: read from schema.json, told to Terraform, and used to fill, check and convert values."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FACTS = json.loads((Path(__file__).parent / "schema.json").read_text())
_TYPES: dict[str, Any] = {
    "string": "string",
    "bool": "bool",
    "number": "number",
    "list(string)": ["list", "string"],
    "map(string)": ["map", "string"],
}
_WORDS = {"required", "optional", "computed", "local", "replaces", "sensitive"}


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


@dataclass(frozen=True)
class Nested:
    block: Block
    least: int = 0
    most: int = 0
    local: bool = False


@dataclass(frozen=True)
class Resource:
    block: Block
    collection: str
    update_mask: tuple[str, ...] = ()
    always_sent: frozenset[str] = field(default_factory=frozenset)


def _attribute(text: str, default: Any, values: list[str]) -> Attribute:
    *words, kind = text.split()
    if unknown := set(words) - _WORDS:
        raise ValueError(f"schema.json: unknown words {sorted(unknown)} in {text!r}")
    if kind not in _TYPES:
        raise ValueError(f"schema.json: unknown type in {text!r}")
    return Attribute(kind, frozenset(words), default, tuple(values))


def _block(facts: dict[str, Any]) -> Block:
    defaults, values = facts.get("defaults", {}), facts.get("values", {})
    return Block(
        {
            name: _attribute(text, defaults.get(name), values.get(name, []))
            for name, text in facts["attributes"].items()
        },
        {name: _nested(nested) for name, nested in facts.get("blocks", {}).items()},
    )


def _nested(facts: dict[str, Any]) -> Nested:
    if "same_as" in facts:
        facts = _FACTS["shared_blocks"][facts["same_as"]]
    return Nested(_block(facts), facts.get("min", 0), facts.get("max", 0), facts.get("local", False))


PROVIDER = _block(_FACTS["provider"])
RESOURCES = {
    name: Resource(
        _block(facts),
        facts["collection"],
        tuple(facts.get("update_mask", ())),
        frozenset(facts.get("always_sent", ())),
    )
    for name, facts in _FACTS["resources"].items()
}
