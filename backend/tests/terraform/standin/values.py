"""Terraform's values on the wire: msgpack of the schema's shape, with an extension type for what is not known yet.

In Python an object is a dict of every attribute and block, a block a list of dicts, and what is not known `UNKNOWN`.
"""

from typing import Any, Final

import msgpack  # type: ignore[import-untyped]  # it has no stubs

from .schema import Block


class _Unknown:
    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN: Final = _Unknown()
# Extension 0 is an unknown value; 12 is one of which something is known, such as the beginning of a string.
_UNKNOWN_CODES = (0, 12)


def decode(packed: bytes, block: Block) -> Any:
    return conform(msgpack.unpackb(packed, ext_hook=_extension, strict_map_key=False), block)


def encode(value: Any) -> bytes:
    packed: bytes = msgpack.packb(_outgoing(value))
    return packed


def conform(value: Any, block: Block) -> Any:
    """The value with every attribute and block of the schema, numbers as numbers."""
    if value is None or value is UNKNOWN:
        return value
    shaped = {name: _scalar(value.get(name), attribute.type) for name, attribute in block.attributes.items()}
    for name, nested in block.blocks.items():
        items = value.get(name)
        shaped[name] = UNKNOWN if items is UNKNOWN else [conform(item, nested.block) for item in items or []]
    return shaped


def _extension(code: int, data: bytes) -> Any:
    if code not in _UNKNOWN_CODES:
        raise ValueError(f"Terraform sent extension type {code} ({data!r}), which is none of {_UNKNOWN_CODES}")
    return UNKNOWN


def _scalar(value: Any, kind: str) -> Any:
    if kind == "list(number)" and isinstance(value, list):
        return [_scalar(item, "number") for item in value]
    if kind != "number" or value is None or value is UNKNOWN:
        return value
    # A fraction that no float64 holds exactly arrives as a string.
    number = float(value)
    return int(number) if number.is_integer() else number


def _outgoing(value: Any) -> Any:
    if value is UNKNOWN:
        return msgpack.ExtType(0, b"\0")
    if isinstance(value, dict):
        return {key: _outgoing(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_outgoing(item) for item in value]
    if isinstance(value, float):
        # 0.05 of a configuration is the decimal, not the float64 next to it; as text it stays equal.
        return repr(value)
    return value
