"""The gRPC service that Terraform calls: decodes, asks `resources`, encodes."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc  # type: ignore[import-untyped]  # it has no stubs

from . import resources
from .rest import DEFAULT_ENDPOINTS, Api, Refused
from .schema import PROVIDER, RESOURCES, Attribute, Block, Nested
from .values import conform, decode, encode

_PROTO = Path(__file__).parent / "protocol.proto"
_LIST_OF_BLOCKS, _SET_OF_BLOCKS = 2, 3
_ERROR = 1
# Arguments that an id holds after a word of its own.
_PLACES = {"location": "locations", "service": "services"}


def _messages() -> Callable[[str], Any]:
    """The messages of protocol.proto; nothing generated is kept in the tree."""
    with tempfile.NamedTemporaryFile() as compiled:
        arguments = ["protoc", f"-I{_PROTO.parent}", f"--descriptor_set_out={compiled.name}", _PROTO.name]
        if protoc.main(arguments) != 0:
            raise RuntimeError(f"protoc refused {_PROTO}")
        described = descriptor_pb2.FileDescriptorSet.FromString(Path(compiled.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in described.file:
        pool.Add(file)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tfplugin6.{name}"))


class Provider:
    """hashicorp/google, as far as the modules need it."""

    def __init__(self) -> None:
        self.message = _messages()
        self.api = Api()

    def handlers(self) -> grpc.GenericRpcHandler:
        one_way = {
            "GetMetadata": ("Nothing", self.get_metadata),
            "GetProviderSchema": ("Nothing", self.get_provider_schema),
            "ValidateProviderConfig": ("ValidateProviderConfigRequest", self.validate_provider_config),
            "ConfigureProvider": ("ConfigureProviderRequest", self.configure_provider),
            "ValidateResourceConfig": ("ValidateResourceConfigRequest", self.validate_resource_config),
            "UpgradeResourceState": ("UpgradeResourceStateRequest", self.upgrade_resource_state),
            "ReadResource": ("ReadResourceRequest", self.read_resource),
            "PlanResourceChange": ("PlanResourceChangeRequest", self.plan_resource_change),
            "ApplyResourceChange": ("ApplyResourceChangeRequest", self.apply_resource_change),
            "ImportResourceState": ("ImportResourceStateRequest", self.import_resource_state),
            "GetFunctions": ("Nothing", lambda _: self.message("GetFunctionsResponse")()),
            "StopProvider": ("Nothing", lambda _: self.message("StopProviderResponse")()),
        }
        return grpc.method_handlers_generic_handler(
            "tfplugin6.Provider",
            {name: self._method(request, answer) for name, (request, answer) in one_way.items()},
        )

    def get_metadata(self, _: Any) -> Any:
        response = self.message("GetMetadataResponse")
        named = [response.Named(type_name=name) for name in RESOURCES]
        return response(resources=named)

    def get_provider_schema(self, _: Any) -> Any:
        return self.message("GetProviderSchemaResponse")(
            provider=self._schema(PROVIDER),
            resource_schemas={name: self._schema(resource.block) for name, resource in RESOURCES.items()},
        )

    def validate_provider_config(self, _: Any) -> Any:
        return self.message("ValidateProviderConfigResponse")()

    def configure_provider(self, request: Any) -> Any:
        config = decode(request.config.msgpack, PROVIDER)
        self.api = Api(
            endpoints={
                name: _text(config[f"{name}_custom_endpoint"], f"GOOGLE_{name.upper()}_CUSTOM_ENDPOINT") or default
                for name, default in DEFAULT_ENDPOINTS.items()
            },
            access_token=_text(config["access_token"], "GOOGLE_OAUTH_ACCESS_TOKEN"),
            project=_text(config["project"], "GOOGLE_PROJECT"),
        )
        return self.message("Diagnostics")()

    def validate_resource_config(self, request: Any) -> Any:
        config = decode(request.config.msgpack, RESOURCES[request.type_name].block)
        diagnostics = [self._error(text, steps) for steps, text in resources.faults(request.type_name, config)]
        return self.message("Diagnostics")(diagnostics=diagnostics)

    def upgrade_resource_state(self, request: Any) -> Any:
        state = conform(json.loads(request.raw_state.json), RESOURCES[request.type_name].block)
        return self.message("UpgradeResourceStateResponse")(upgraded_state=self._value(state))

    def read_resource(self, request: Any) -> Any:
        response = self.message("ReadResourceResponse")
        state = decode(request.current_state.msgpack, RESOURCES[request.type_name].block)
        try:
            return response(new_state=self._value(resources.read(request.type_name, state, self.api)))
        except Refused as refusal:
            return response(diagnostics=[self._error(f"Error reading {state['id']}: {refusal}")])

    def plan_resource_change(self, request: Any) -> Any:
        block = RESOURCES[request.type_name].block
        values = (request.prior_state, request.proposed_new_state, request.config)
        prior, proposed, config = (decode(value.msgpack, block) for value in values)
        planned, replaced = resources.plan(request.type_name, prior, proposed, config, self.api.project)
        return self.message("PlanResourceChangeResponse")(
            planned_state=self._value(planned),
            requires_replace=[self._path(steps) for steps in replaced],
            # As the real provider's SDK: filled-in defaults are no contradiction of the configuration.
            legacy_type_system=True,
        )

    def apply_resource_change(self, request: Any) -> Any:
        response = self.message("ApplyResourceChangeResponse")
        block = RESOURCES[request.type_name].block
        values = (request.prior_state, request.planned_state, request.config)
        prior, planned, config = (decode(value.msgpack, block) for value in values)
        try:
            state = resources.apply(request.type_name, prior, planned, config, self.api)
        except Refused as refusal:
            diagnostics = [self._error(f"Error changing {request.type_name}: {refusal}")]
            return response(new_state=self._value(prior), diagnostics=diagnostics, legacy_type_system=True)
        return response(new_state=self._value(state), legacy_type_system=True)

    def import_resource_state(self, request: Any) -> Any:
        response = self.message("ImportResourceStateResponse")
        block = RESOURCES[request.type_name].block
        identifier = _whole(request.type_name, request.id)
        project = identifier.split("/")[1] if identifier.startswith("projects/") else self.api.project
        state = {**conform({}, block), "id": identifier, **_imported(block, identifier, project)}
        imported = response.Imported(type_name=request.type_name, state=self._value(state))
        return response(imported_resources=[imported])

    def _method(self, request: str, answer: Callable[[Any], Any]) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda message, _: answer(message),
            request_deserializer=self.message(request).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _value(self, value: Any) -> Any:
        return self.message("Value")(msgpack=encode(value))

    def _path(self, steps: Iterable[str | int]) -> Any:
        step = self.message("Path").Step
        return self.message("Path")(
            steps=[step(attribute_name=at) if isinstance(at, str) else step(element_key_int=at) for at in steps]
        )

    def _error(self, text: str, steps: Iterable[str | int] = ()) -> Any:
        return self.message("Diagnostic")(severity=_ERROR, summary=text, attribute=self._path(steps))

    def _schema(self, block: Block) -> Any:
        return self.message("Schema")(block=self._block(block))

    def _block(self, block: Block) -> Any:
        return self.message("Schema").Block(
            attributes=[self._attribute(name, attribute) for name, attribute in block.attributes.items()],
            block_types=[self._nested(name, nested) for name, nested in block.blocks.items()],
        )

    def _attribute(self, name: str, attribute: Attribute) -> Any:
        words = ("required", "optional", "computed", "sensitive", "write_only")
        told = {word: True for word in words if word in attribute.words}
        return self.message("Schema").Attribute(name=name, type=attribute.wire_type, **told)

    def _nested(self, name: str, nested: Nested) -> Any:
        return self.message("Schema").NestedBlock(
            type_name=name,
            block=self._block(nested.block),
            nesting=_SET_OF_BLOCKS if nested.is_set else _LIST_OF_BLOCKS,
            min_items=nested.least,
            max_items=nested.most,
        )


def _whole(type_name: str, identifier: str) -> str:
    """A log-based metric is imported by `PROJECT NAME`, everything else by its whole name."""
    project, _, name = identifier.partition(" ")
    return f"projects/{project}/metrics/{name}" if type_name == "google_logging_metric" and name else identifier


def _imported(block: Block, identifier: str, project: str) -> dict[str, Any]:
    """What the id alone tells: the project, places, and the last part for what is named by its user."""
    parts = identifier.split("/")
    told = {"project": project, "service_id": parts[-1], "slo_id": parts[-1], "bucket_id": parts[-1]}
    told |= {name: parts[parts.index(at) + 1] for name, at in _PLACES.items() if at in parts}
    return {name: value for name, value in told.items() if name in block.attributes}


def _text(configured: Any, variable: str) -> str:
    return configured if isinstance(configured, str) else os.environ.get(variable, "")
