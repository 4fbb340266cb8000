"""From query parameters and JSON to request messages, with the sentences Google's front end uses when that fails."""

import re
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ..status import ApiError, Code, invalid

# cloud.google.com/apis/docs/system-parameters: they belong to the front end, not to the method.
_SYSTEM = frozenset(
    {"$.xgafv", "access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser"}
    | {"uploadType", "upload_protocol", "userProject", "$userProject", "$alt", "$prettyPrint"}
)
# What Google's own REST clients ask for (google.api_core; googleapis/gapic-generator-python, "rest_numeric_enums").
INTEGER_ENUMS = "json;enum-encoding=int"
_SNAKE = re.compile("_([a-z0-9])")
_SCALAR_NAMES = {
    FieldDescriptor.TYPE_BOOL: "TYPE_BOOL",
    FieldDescriptor.TYPE_BYTES: "TYPE_BYTES",
    FieldDescriptor.TYPE_DOUBLE: "TYPE_DOUBLE",
    FieldDescriptor.TYPE_FLOAT: "TYPE_FLOAT",
    FieldDescriptor.TYPE_INT32: "TYPE_INT32",
    FieldDescriptor.TYPE_INT64: "TYPE_INT64",
    FieldDescriptor.TYPE_STRING: "TYPE_STRING",
    FieldDescriptor.TYPE_UINT32: "TYPE_UINT32",
    FieldDescriptor.TYPE_UINT64: "TYPE_UINT64",
}


def parse_into(message: Message, value: Any) -> None:
    """Read Google JSON into a message.

    Raises:
        ApiError: INVALID_ARGUMENT that names the place, in Google's words where they are known.
    """
    if not isinstance(value, dict):
        raise invalid("Invalid JSON payload received. The request body must be a JSON object.")
    try:
        json_format.ParseDict(value, message)
    except (json_format.ParseError, RecursionError, ValueError, TypeError) as error:
        raise _explain(message.DESCRIPTOR, value, "") or invalid(f"Invalid JSON payload received. {error}") from error


def bind_query(message: Message, parameters: Iterable[tuple[str, str]]) -> None:
    """Read query parameters such as `interval.endTime` or repeated `aggregation.groupByFields` into a request."""
    tree: dict[str, Any] = {}
    for name, text in parameters:
        if name in _SYSTEM:
            if name.lstrip("$") == "alt" and text not in {"json", INTEGER_ENUMS}:
                raise ApiError(Code.UNIMPLEMENTED, f"The emulator answers alt=json only, not alt={text}.")
            continue
        _place(tree, message.DESCRIPTOR, name, text)
    if tree:
        parse_into(message, tree)


def _place(tree: dict[str, Any], descriptor: Any, name: str, text: str) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        field = _field(descriptor, parent)
        if field is None or field.message_type is None or field.is_repeated:
            raise _unbound(name)
        descriptor = field.message_type
        tree = tree.setdefault(field.json_name, {})
    field = _field(descriptor, last)
    if field is None:
        raise _unbound(name)
    if field.is_repeated:
        tree.setdefault(field.json_name, []).append(_scalar(field, text))
    else:
        tree[field.json_name] = _scalar(field, text)


def _unbound(name: str) -> ApiError:
    return invalid(
        f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
        f"Field '{name}' could not be found in request message."
    )


def _field(descriptor: Any, name: str) -> FieldDescriptor | None:
    camel = _SNAKE.sub(lambda match: match[1].upper(), name)
    found = descriptor.fields_by_camelcase_name.get(camel) or descriptor.fields_by_name.get(name)
    # Python's messages call some fields `type_`: their JSON name is the published one.
    return found or next((field for field in descriptor.fields if field.json_name == camel), None)


def _scalar(field: FieldDescriptor, text: str) -> Any:
    """A parameter's text as the JSON value that the field expects."""
    if field.type == FieldDescriptor.TYPE_BOOL and text in {"true", "false"}:
        return text == "true"
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask":
        return _SNAKE.sub(lambda match: match[1].upper(), text)
    if field.enum_type is not None and text.isdecimal():
        return int(text)
    return text


def _explain(descriptor: Any, value: dict[str, Any], path: str) -> ApiError | None:
    """The first unknown name or string of the wrong type, told as Google's front end does.

    Source of the sentence on values: GoogleCloudPlatform/opentelemetry-operations-js#77.
    """
    for key, child in value.items():
        field = _field(descriptor, key)
        if field is None:
            at = f" at '{path}'" if path else ""
            return invalid(f'Invalid JSON payload received. Unknown name "{key}"{at}: Cannot find field.')
        here = f"{path}.{field.name}" if path else field.name
        children = child if field.is_repeated and isinstance(child, list) else [child]
        for index, one in enumerate(children):
            place = f"{here}[{index}]" if field.is_repeated else here
            error = _explain_value(field, one, place)
            if error is not None:
                return error
    return None


def _explain_value(field: FieldDescriptor, value: Any, place: str) -> ApiError | None:
    kind = field.message_type
    if kind is None:
        if field.type == FieldDescriptor.TYPE_STRING and value is not None and not isinstance(value, str):
            return _wrong(place, field, value)
        return None
    if kind.GetOptions().map_entry and isinstance(value, dict):
        inner = kind.fields_by_name["value"]
        for index, one in enumerate(value.values()):
            entry = place.removesuffix("[0]") + f"[{index}].value"
            error = _explain_value(inner, one, entry)
            if error is not None:
                return error
        return None
    if isinstance(value, dict) and not kind.full_name.startswith("google.protobuf."):
        return _explain(kind, value, place)
    return None


def _wrong(place: str, field: FieldDescriptor, value: Any) -> ApiError:
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return invalid(f"Invalid value at '{place}' ({_SCALAR_NAMES[field.type]}), {shown}")
