"""Alert policies of `terraform show -json`, of a plan or a state.

Its form: developer.hashicorp.com/terraform/internals/json-format.
The Google provider names fields as the API's messages do, and writes a message as a list of one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from ..alerting.messages import AlertPolicy
from .errors import ScriptError

_TYPE = "google_monitoring_alert_policy"


def policies_of_plan(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Address and AlertPolicy JSON of every policy; what is known only after apply is left out.

    Raises:
        ScriptError: A condition's filter or query is not known yet.
    """
    values = content.get("planned_values") or content.get("values") or {}
    for address, resource in _resources(values.get("root_module") or {}):
        policy = _message(resource, AlertPolicy.DESCRIPTOR)
        for condition in policy.get("conditions", []):
            body: Mapping[str, Any] = next(
                (value for key, value in condition.items() if key.startswith("condition")), {}
            )
            if not body.get("filter") and not body.get("query"):
                raise ScriptError(
                    f'{address}: the filter or query of "{condition.get("displayName", "")}" is known only after '
                    "apply (it names something that does not exist yet): test the state, or the policy's own file"
                )
        yield address, policy


def _resources(module: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for resource in module.get("resources", []):
        if resource.get("type") == _TYPE and resource.get("mode") == "managed":
            yield resource["address"], resource["values"]
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _message(values: Mapping[str, Any], message: Descriptor) -> dict[str, Any]:
    """The JSON of a message; attributes that the message does not have (id, project, timeouts) are the provider's."""
    found: dict[str, Any] = {}
    for field in message.fields:
        value = values.get(field.name)
        if value is None or value in ("", [], {}):
            continue
        found[field.json_name] = _value(value, field)
    return found


def _value(value: Any, field: FieldDescriptor) -> Any:
    kind = field.message_type
    if kind is None or kind.GetOptions().map_entry or kind.full_name.startswith("google.protobuf."):
        return value
    if field.is_repeated:
        return [_message(one, kind) for one in value]
    return _message(value[0] if isinstance(value, list) else value, kind)
