"""The table of API methods: facts that Google publishes, in methods.json (see backend/tools/write_methods.py)."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

# Importing the clients' types registers every message of the table in protobuf's pool.
import google.cloud.errorreporting_v1beta1.types
import google.cloud.logging_v2.types
import google.cloud.monitoring_dashboard_v1.types
import google.cloud.monitoring_v3.types
import google.cloud.trace_v1.types
import google.cloud.trace_v2.types
from google.iam.v1 import iam_policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pool, empty_pb2, message_factory
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

_TABLE = Path(__file__).with_name("methods.json")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

Services = Mapping[str, object]
"""Service objects by full service name, such as `google.monitoring.v3.MetricService`."""

REGISTERED = (
    google.cloud.errorreporting_v1beta1.types,
    google.cloud.logging_v2.types,
    google.cloud.monitoring_dashboard_v1.types,
    google.cloud.monitoring_v3.types,
    google.cloud.trace_v1.types,
    google.cloud.trace_v2.types,
    iam_policy_pb2,
    operations_pb2,
    empty_pb2,
    logs_service_pb2,
    metrics_service_pb2,
    trace_service_pb2,
)


class HttpRule(NamedTuple):
    verb: str
    template: str
    body: str


class Method(NamedTuple):
    service: str
    name: str
    request: type[Message]
    response: type[Message]
    client_streams: bool
    server_streams: bool
    http: tuple[HttpRule, ...]

    @property
    def full_name(self) -> str:
        return f"{self.service}.{self.name}"

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"

    @property
    def attribute(self) -> str:
        """The name of the service object's method: CreateTimeSeries is `create_time_series`."""
        return _WORD.sub("_", self.name).lower()


class RestMethod(NamedTuple):
    """A method whose messages come with no package that the emulator installs: it is answered over REST alone."""

    service: str
    name: str
    http: tuple[HttpRule, ...]

    @property
    def full_name(self) -> str:
        return f"{self.service}.{self.name}"

    @property
    def attribute(self) -> str:
        return _WORD.sub("_", self.name).lower()


def message_class(full_name: str) -> type[Message]:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(full_name))


@cache
def methods() -> tuple[Method, ...]:
    """The methods of both wires."""
    return tuple(
        Method(
            service,
            name,
            message_class(facts["request"]),
            message_class(facts["response"]),
            facts["streams"][0],
            facts["streams"][1],
            _rules(facts),
        )
        for service, name, facts in _table()
        if _is_known(facts)
    )


@cache
def rest_methods() -> tuple[RestMethod, ...]:
    """The methods of the REST wire alone."""
    return tuple(RestMethod(service, name, _rules(facts)) for service, name, facts in _table() if not _is_known(facts))


def _table() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for service, table in json.loads(_TABLE.read_text(encoding="utf-8")).items():
        for name, facts in table.items():
            yield service, name, facts


def _rules(facts: dict[str, Any]) -> tuple[HttpRule, ...]:
    return tuple(HttpRule(*rule) for rule in facts["http"])


# Their messages come with clients that the emulator does not ask for; what else is installed must change nothing.
_REST_ALONE = ("google.pubsub.", "google.cloud.billing.", "google.api.serviceusage.")


def _is_known(facts: dict[str, Any]) -> bool:
    if facts["request"].startswith(_REST_ALONE):
        return False
    pool = descriptor_pool.Default()
    try:
        pool.FindMessageTypeByName(facts["request"])
        pool.FindMessageTypeByName(facts["response"])
    except KeyError:
        return False
    return True
