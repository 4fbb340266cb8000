from collections.abc import Iterator

import pytest
from starlette.background import BackgroundTask


@pytest.fixture(autouse=True, scope="session")
def _provider_of_ours(pytestconfig: pytest.Config) -> None:
    """With a provider of the service's own, its sampler decides what is recorded, and these tests are of ours."""
    if pytestconfig.pluginmanager.hasplugin("support.native_telemetry"):
        pytest.skip("another provider is global; see test_a_provider_of_the_services_own_goes_on_as_it_is")


@pytest.fixture(autouse=True)
def _background_tasks_as_before() -> Iterator[None]:
    """Contrib's instrumentation of one app makes spans of every app's background tasks, until it is taken back."""
    before = BackgroundTask.__call__
    yield
    BackgroundTask.__call__ = before  # type: ignore[method-assign]  # as contrib does
    if hasattr(BackgroundTask, "_otel_original_call"):
        del BackgroundTask._otel_original_call
