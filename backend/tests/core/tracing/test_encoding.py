"""Spans as bytes, read again with the protocol's own classes; and who they say they come from."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from app.core.logging.entry import Identity
from app.core.redaction import Redaction
from app.core.runtime import Runtime
from app.core.tracing.buffer import Buffer, Waiting, size_of
from app.core.tracing.encoding import Encoding
from app.core.tracing.resource import labels, resource
from support.provenance import known_from

CONTEXT = SpanContext(1 << 100, 1 << 50, is_remote=False, trace_flags=TraceFlags(1))
VALUES = st.one_of(
    st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False), st.binary(), st.lists(st.text()), st.none()
)


def span(**fields: Any) -> ReadableSpan:
    given_fields = {"name": "work", "context": CONTEXT, "resource": Resource({}), "start_time": 5, "end_time": 7}
    return ReadableSpan(**{**given_fields, **fields})


def read(*spans: Any, redaction: Redaction | None = None) -> Any:
    encoded = Encoding(redaction or Redaction()).request({"service.name": "items"}, spans)
    [group] = ExportTraceServiceRequest.FromString(encoded).resource_spans
    [scope] = group.scope_spans
    return scope.spans


def attributes(one: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in one.attributes}


def test_each_kind_of_value_keeps_its_type():
    given_values = {"text": "a", "yes": True, "count": -3, "big": 1 << 80, "share": 0.5, "list": ("a", "b")}
    [one] = read(span(attributes=given_values))
    told = attributes(one)
    assert {key: told[key] for key in ("text", "yes", "count", "big", "share")} == {
        "text": "a",
        "yes": True,
        "count": -3,
        "big": str(1 << 80),
        "share": 0.5,
    }
    assert [value.string_value for value in told["list"].values] == ["a", "b"]


def test_ids_status_and_links_are_where_they_belong():
    parent = SpanContext(CONTEXT.trace_id, 9, is_remote=True)
    link = Link(SpanContext(3, 4, is_remote=True), {"why": "batch"})
    [one] = read(span(parent=parent, links=[link], status=Status(StatusCode.ERROR, "of ada@example.com")))
    assert (one.trace_id, one.span_id) == (CONTEXT.trace_id.to_bytes(16), CONTEXT.span_id.to_bytes(8))
    assert one.parent_span_id == (9).to_bytes(8)
    assert (one.links[0].trace_id, one.links[0].span_id) == ((3).to_bytes(16), (4).to_bytes(8))
    assert (one.status.code, one.status.message) == (2, "of [redacted]")


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.text())
def test_whatever_a_span_holds_is_a_request(values, name):
    made = SimpleNamespace(
        name=name,
        context=CONTEXT,
        parent=None,
        kind=SimpleNamespace(value=0),
        start_time=5,
        end_time=7,
        attributes=values,
        dropped_attributes=0,
        events=[SimpleNamespace(name=name, timestamp=6, attributes=values)],
        dropped_events=0,
        links=[],
        dropped_links=0,
        status=SimpleNamespace(status_code=SimpleNamespace(value=0), description=None),
        instrumentation_scope=None,
    )
    [one] = read(made)
    assert one.name
    assert len(one.attributes) <= len(values)
    assert size_of(made) > 0


@known_from(docs="docs.cloud.google.com/stackdriver/quotas: what one span of the Telemetry API may hold")
def test_what_is_too_long_is_cut_and_what_is_too_many_is_counted():
    many = SimpleNamespace(**{name: getattr(span(), name) for name in _FIELDS})
    many.name = "n" * 5000
    many.attributes = {"k" * 2000: "v" * 100_000, **{str(number): number for number in range(2000)}}
    [one] = read(many)
    assert len(one.name.encode()) <= 1024
    assert len(one.attributes) == 1024
    assert one.dropped_attributes_count == 2001 - 1024
    assert len(one.attributes[0].key) == 512
    assert len(one.attributes[0].value.string_value) <= 64 * 1024


_FIELDS = (
    "name", "context", "parent", "kind", "start_time", "end_time", "attributes", "dropped_attributes", "events",
    "dropped_events", "links", "dropped_links", "status", "instrumentation_scope",
)  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("password", "hunter2", "[redacted]"),
        ("api_key", 1234567, "[redacted]"),
        ("note", "write to ada@example.com", "write to [redacted]"),
        ("url.full", "https://ada:hunter2@shop/pay?token=abc", None),
        ("http.route", "/users/{token}", "/users/{token}"),
    ],
)
def test_no_secret_leaves_in_an_attribute(key, value, told):
    [one] = read(span(attributes={key: value}))
    found = attributes(one)[key]
    assert found == told if told is not None else "hunter2" not in found and "abc" not in found


def _identity(platform: Any, **fields: str) -> Identity:
    where = {"project": "shop", "location": "", "cluster": "", "instance": "", "revision": "", **fields}
    return Identity("items", "1.2", "production", Runtime(platform, **where), "abc123", "0")


@known_from(docs="https://opentelemetry.io/docs/specs/semconv/resource/")
def test_the_resource_is_what_the_platform_says(monkeypatch):
    monkeypatch.setenv("K_SERVICE", "items")
    run = resource(_identity("cloud_run", location="europe-west1", instance="i-1", revision="items-7"))
    assert run == {
        "service.name": "items",
        "service.version": "1.2",
        "service.namespace": "production",
        "service.instance.id": "i-1-0",
        "deployment.environment.name": "production",
        "gcp.project_id": "shop",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "vcs.ref.head.revision": "abc123",
        "cloud.provider": "gcp",
        "cloud.account.id": "shop",
        "cloud.region": "europe-west1",
        "cloud.platform": "gcp_cloud_run",
        "faas.name": "items",
        "faas.version": "items-7",
        "faas.instance": "i-1",
    }
    monkeypatch.setenv("NAMESPACE", "web")
    cluster = _identity("gke", location="europe-west1-b", cluster="main", instance="items-5f6-x")
    gke = resource(cluster)
    assert (
        gke.items()
        >= {
            "cloud.platform": "gcp_kubernetes_engine",
            "cloud.availability_zone": "europe-west1-b",
            "cloud.region": "europe-west1",
            "k8s.cluster.name": "main",
            "k8s.namespace.name": "web",
            "k8s.pod.name": "items-5f6-x",
        }.items()
    )
    assert labels(cluster, "1")["g.co/r/k8s_container/pod_name"] == "items-5f6-x"


def test_what_the_environment_says_of_the_resource_goes_first():
    environment = {"OTEL_RESOURCE_ATTRIBUTES": "team=shop%20one, service.namespace=eu,broken"}
    told = resource(_identity("other"), environment)
    assert (told["team"], told["service.namespace"], "broken" in told) == ("shop one", "eu", False)


def test_a_buffer_gives_up_good_requests_first():
    dropped: list[tuple[str, int]] = []
    buffer = Buffer(300, lambda reason, count: dropped.append((reason, count)))

    def waiting(name: str, *, error: bool) -> Waiting:
        return Waiting(lambda: [name], 1, 100, error=error)

    for name, error in (("e1", True), ("g1", False), ("e2", True), ("e3", True), ("g2", False), ("e4", True)):
        buffer.put(waiting(name, error=error))
    assert [one.spans() for one in buffer.take(10, 10_000)] == [["e2"], ["e3"], ["e4"]]
    assert dropped == [("overflow", 1)] * 3
    assert buffer.used == 300
    assert buffer.clear() == 0
