"""JSON documents by resource name, journalled: what the services without protobuf classes keep."""

from typing import Any

import orjson

from ..project import Context
from ..status import ApiError, Code, invalid

PUT = "platform.document"
DELETED = "platform.document_deleted"

Json = dict[str, Any]

# Ours: no document of these services is nested half as deep, and what is kept must be written again.
_DEEPEST = 32


class Documents:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: dict[str, Json] = {}

    def get(self, name: str) -> Json | None:
        return self._kept.get(name)

    def under(self, prefix: str) -> list[Json]:
        """The documents whose name begins so, by name."""
        return [self._kept[name] for name in sorted(self._kept) if name.startswith(prefix)]

    def put(self, name: str, document: Json) -> None:
        self._context.journal.append(PUT, orjson.dumps([name, document]))
        self._kept[name] = document

    def delete(self, name: str) -> None:
        self._context.journal.append(DELETED, name.encode())
        self._kept.pop(name, None)

    def restore(self, kind: str, record: bytes) -> bool:
        """Apply a journalled record; false when it is none of these."""
        if kind == PUT:
            name, document = orjson.loads(record)
            self._kept[name] = document
        elif kind == DELETED:
            self._kept.pop(record.decode(), None)
        else:
            return False
        return True


def only(body: Any, fields: frozenset[str], at: str = "") -> Json:
    """A JSON object with none but these fields.

    Raises:
        ApiError: INVALID_ARGUMENT in the words of Google's front end.
    """
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise invalid("Invalid JSON payload received. The request body must be a JSON object.")
    for key in body:
        if key not in fields:
            place = f" at '{at}'" if at else ""
            raise invalid(f'Invalid JSON payload received. Unknown name "{key}"{place}: Cannot find field.')
    _check_depth(body)
    return body


def _check_depth(body: Json) -> None:
    waiting: list[tuple[Any, int]] = [(body, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > _DEEPEST:
            raise invalid("Invalid JSON payload received. It is nested too deeply.")
        children = node.values() if isinstance(node, dict) else node
        waiting += [(child, depth + 1) for child in children if isinstance(child, dict | list)]


def page_size(query: list[tuple[str, str]]) -> int:
    """The parameter `pageSize`; 0 when absent."""
    text = dict(query).get("pageSize", "0")
    if not text.isdecimal() or len(text) > len(str(2**31)):
        raise invalid(f"Invalid value at 'page_size' (TYPE_INT32), {text[:40]}")
    return int(text)


def labels_field(body: Json) -> None:
    """Refuse labels that are no texts."""
    labels = body.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise invalid("Invalid value at 'labels': it must be an object of texts.")


def text_field(body: Json, key: str, limit: int = 0) -> str:
    """A text (empty when absent) of at most `limit` characters."""
    value = body.get(key, "")
    if not isinstance(value, str):
        raise invalid(f"Invalid value at '{key}' (TYPE_STRING), {value}")
    if limit and len(value) > limit:
        raise invalid(f"The field {key} has {len(value)} characters, the limit is {limit}.")
    return value


def exists_already(message: str) -> ApiError:
    return ApiError(Code.ALREADY_EXISTS, message)
