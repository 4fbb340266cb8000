"""A pytest plugin (`-p support.native_telemetry`): every test runs with global OpenTelemetry providers.

They are what makes FastAPI's own telemetry (>= 0.142) switch itself on; in an observed app it must stay off.
"""

from collections.abc import Iterator

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

#: As a mere middleware our layer stands inside of FastAPI, whose own span has begun by then; where our layer has
#: failed nobody keeps FastAPI quiet.
INSIDE = frozenset(
    {"test_the_middleware_alone_observes_too", "test_a_fault_in_any_function_of_the_library_changes_no_answer"}
)
_spans = InMemorySpanExporter()
_points = InMemoryMetricReader()


def set_global_providers() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([_points]))


def take_server_spans() -> list[ReadableSpan]:
    """The SERVER spans that have ended since the last call."""
    found = [span for span in _spans.get_finished_spans() if span.kind is trace.SpanKind.SERVER]
    _spans.clear()
    return found


def native_metrics() -> set[str]:
    """Names of the metrics that have been recorded so far."""
    data = _points.get_metrics_data()
    if data is None:
        return set()
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    return {metric.name for scope in scopes for metric in scope.metrics}


def pytest_configure() -> None:
    set_global_providers()


@pytest.fixture(autouse=True)
def _no_native_server_span(request: pytest.FixtureRequest) -> Iterator[None]:
    take_server_spans()
    yield
    native = [span.name for span in take_server_spans()]
    assert native == [] or request.node.name in INSIDE, "FastAPI's own telemetry was on in an observed app"
