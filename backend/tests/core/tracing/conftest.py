import pytest


@pytest.fixture(autouse=True, scope="session")
def _provider_of_ours(pytestconfig: pytest.Config) -> None:
    """With a provider of the service's own, its sampler decides what is recorded, and these tests are of ours."""
    if pytestconfig.pluginmanager.hasplugin("support.native_telemetry"):
        pytest.skip("another provider is global; see test_a_provider_of_the_services_own_goes_on_as_it_is")
