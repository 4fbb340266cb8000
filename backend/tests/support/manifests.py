"""Whether a manifest is one that Kubernetes, Cloud Run or Managed Prometheus knows."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_SCHEMA = Path(__file__).with_name("kubernetes.schema.json")
_POD = "io.k8s.api.core.v1.PodSpec"
# cloud.google.com/run/docs/reference/yaml/v1: a revision's own fields, beside those of a pod.
_OF_A_REVISION = {"containerConcurrency", "timeoutSeconds"}
_META = {"type": "object", "required": ["name"]}


def _own(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {"apiVersion": {}, "kind": {"const": kind}, "metadata": _META, "spec": spec},
    }


def _strict(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": sorted(required),
        "additionalProperties": False,
        "properties": {**required, **optional},
    }


def _list_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": schema}


_TEXT = {"type": "string", "minLength": 1}
# github.com/GoogleCloudPlatform/prometheus-engine/blob/main/doc/api.md
_POD_MONITORING = _own(
    "PodMonitoring",
    _strict(
        {
            "selector": _strict({"matchLabels": {"type": "object", "minProperties": 1}}),
            "endpoints": _list_of(_strict({"port": {"type": ["string", "integer"]}, "interval": _TEXT}, path=_TEXT)),
        },
        targetLabels=_strict({}, metadata=_list_of({"enum": ["pod", "container", "node"]})),
    ),
)
_RULE = _strict({"expr": _TEXT, "record": _TEXT}, labels={"type": "object"})
_RULES = _own(
    "Rules", _strict({"groups": _list_of(_strict({"name": _TEXT, "rules": _list_of(_RULE)}, interval=_TEXT))})
)


def problems(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with it; a kind that is not known here is wrong too."""
    return [f"{error.json_path}: {error.message}" for error in _errors(manifest)]


def _errors(manifest: dict[str, Any]) -> Iterator[Any]:
    match manifest.get("apiVersion"), manifest.get("kind"):
        case "apps/v1", "Deployment":
            yield from Draft202012Validator(_kubernetes()).iter_errors(manifest)
        case "serving.knative.dev/v1", "Service":
            template = manifest["spec"]["template"]
            pod = {name: value for name, value in template["spec"].items() if name not in _OF_A_REVISION}
            # A manifest of Cloud Run may leave the name of the only container out.
            pod["containers"] = [{"name": "app", **one} for one in pod["containers"]]
            # A probe without a port asks the container's own.
            for container in pod["containers"]:
                for probe in [value for name, value in container.items() if name.endswith("Probe")]:
                    probe.setdefault("httpGet", {}).setdefault("port", 8080)
            schema = {**_kubernetes(), "$ref": f"#/$defs/{_POD}"}
            yield from Draft202012Validator(schema).iter_errors(pod)
        case "monitoring.googleapis.com/v1", "PodMonitoring":
            yield from Draft202012Validator(_POD_MONITORING).iter_errors(manifest)
        case "monitoring.googleapis.com/v1", "Rules":
            yield from Draft202012Validator(_RULES).iter_errors(manifest)
        case other:
            yield from Draft202012Validator({"not": {}, "description": str(other)}).iter_errors(manifest)


@cache
def _kubernetes() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    return schema
