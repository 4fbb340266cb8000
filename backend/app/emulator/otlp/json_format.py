"""OTLP's own JSON: protobuf's, but ids are hexadecimal and unknown fields are ignored.

opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding".
"""

import base64
import binascii
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from ..status import invalid

_IDS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
# Protobuf stops at a hundred messages within messages; each is at most two containers of JSON.
_DEEPEST = 200


def parse_into(message: Message, value: Any) -> None:
    """Read a request.

    Raises:
        ApiError: INVALID_ARGUMENT for what is no OTLP.
    """
    if not isinstance(value, dict):
        raise invalid("Invalid JSON payload received. The request body must be a JSON object.")
    _decode_ids(value)
    try:
        json_format.ParseDict(value, message, ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError, ValueError, TypeError) as error:
        raise invalid(f"Invalid JSON payload received. {str(error)[:1000]}") from error


def _decode_ids(value: Any) -> None:
    waiting = [(value, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > _DEEPEST:
            raise invalid("Invalid JSON payload received. It is nested too deeply.")
        if isinstance(node, dict):
            for key, child in node.items():
                if key in _IDS and isinstance(child, str):
                    node[key] = _base64(key, child)
            waiting += [(child, depth + 1) for child in node.values() if isinstance(child, dict | list)]
        else:
            waiting += [(child, depth + 1) for child in node if isinstance(child, dict | list)]


def _base64(key: str, text: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(text)).decode()
    except (binascii.Error, ValueError):
        raise invalid(f"Invalid value at '{key}': \"{text[:64]}\" is not hexadecimal.") from None
