import pytest

from app.core import Settings, SettingsError


def test_a_wrong_setting_is_named_with_its_value_and_range(monkeypatch):
    monkeypatch.setenv("TRACE_SAMPLE_RATE", "2")
    with pytest.raises(SettingsError, match=r"TRACE_SAMPLE_RATE='2'.*allowed: from 0 to 1"):
        Settings.load()


def test_every_wrong_setting_is_named_at_once(monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    monkeypatch.setenv("METRICS_EXPORT_INTERVAL", "1")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert "LOG_LEVEL='LOUD'" in str(caught.value)
    assert "METRICS_EXPORT_INTERVAL='1'" in str(caught.value)
    assert "from 10 to 3600" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HEALTH_NAMES", "nonsense", "HEALTH_NAMES='nonsense': Input should be JSON"),
        ("HEALTH_NAMES", '{"ready": "live"}', "two endpoints would have the same path: live, live, startup, detailed"),
        ("SPOOL_BYTES", "20000", "allowed: from 4194304 to 17179869184"),
    ],
)
def test_what_is_wrong_with_a_setting_is_told_exactly(monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert told in str(caught.value)


def test_a_wrong_secret_is_not_repeated():
    with pytest.raises(SettingsError) as caught:
        Settings.load(health_token=["hunter2"])
    assert "HEALTH_TOKEN=***" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_first_users_names_are_settings(monkeypatch):
    values = {
        "ENABLE_METRICS": "false",
        "ENABLE_TRACING": "false",
        "LOG_LEVEL": "WARNING",
        "METRICS_NAMESPACE": "shop",
        "TRACE_SAMPLE_RATE": "0.5",
        "ERROR_TRACE_SAMPLE_RATE": "0.9",
        "ENABLE_COST_TRACKING": "true",
        "HEALTH_CHECK_INTERVAL": "300",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert settings.model_dump(include={name.lower() for name in values}) == {
        "enable_metrics": False,
        "enable_tracing": False,
        "log_level": "WARNING",
        "metrics_namespace": "shop",
        "trace_sample_rate": 0.5,
        "error_trace_sample_rate": 0.9,
        "enable_cost_tracking": True,
        "health_check_interval": 300.0,
    }


def test_cloud_run_names_the_service_and_its_version(monkeypatch):
    monkeypatch.setenv("K_SERVICE", "items")
    monkeypatch.setenv("K_REVISION", "items-00007-abc")
    settings = Settings.load()
    assert (settings.service, settings.version) == ("items", "items-00007-abc")


def test_every_setting_has_a_meaning():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
