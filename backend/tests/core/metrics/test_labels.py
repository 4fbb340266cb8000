import re

import pytest

from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.labels import Labels
from support.service import observed

HASH = re.compile(r"h:[0-9a-f]{16}")


@pytest.mark.parametrize(
    ("address", "full", "prefix"),
    [
        ("192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:DB8:1:2::ffff", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
        ("testclient", "testclient", "invalid"),
        ("192.0.2.077", "192.0.2.077", "invalid"),
        ("1.2.3.4\0", "1.2.3.4\0", "invalid"),
        ("", "", "invalid"),
    ],
)
def test_an_address_is_told_whole_or_by_its_network(address, full, prefix):
    assert Labels("full").address(address) == full
    assert Labels("prefix").address(address) == prefix
    assert Labels("off").address(address) == ""


def test_a_hashed_address_is_the_same_for_the_same_client_and_key():
    labels = Labels("hash", b"key")
    assert HASH.fullmatch(labels.address("192.0.2.7"))
    assert labels.address("192.0.2.7") == Labels("hash", b"key").address("::ffff:192.0.2.7")
    assert labels.address("2001:db8:1:2::1") == labels.address("2001:db8:1:2::2")
    assert labels.address("192.0.2.7") != Labels("hash", b"another").address("192.0.2.7")


def test_an_account_is_never_told_as_it_is():
    labels = Labels("full", b"key")
    assert HASH.fullmatch(labels.account("ada@example.com"))
    assert labels.account(" ADA@example.com ") == labels.account("ada@example.com")
    assert labels.account("") == ""


@pytest.mark.parametrize("value", ["\ud800", "x" * 5000, "a\nb", "é" * 3000])
def test_any_value_becomes_text_that_the_api_takes(value):
    store = Store()
    MetricsClient(store).counter("errors_total", {"type": value}).add()
    [series] = store.series
    assert len(series.values[0].encode()) <= 1024


def test_without_instrument_the_environment_decides(monkeypatch):
    monkeypatch.setenv("CLIENT_IDENTITY", "prefix")
    monkeypatch.setenv("METRICS_OPEN_VALUES", "3")
    labels = Store().labels
    assert (labels.client_identity, labels.keep) == ("prefix", 3)
    monkeypatch.setenv("CLIENT_IDENTITY", "everything")
    monkeypatch.setenv("METRICS_OPEN_VALUES", "many")
    labels = Store().labels
    assert (labels.client_identity, labels.keep) == ("off", 20)


def test_settings_decide_once_the_app_is_instrumented():
    with observed(client_identity="hash", hash_key="key", metrics_open_values=7) as service:
        labels = service.store.labels
        assert (labels.client_identity, labels.keep) == ("hash", 7)
        assert labels.account("ada@example.com") == Labels(hash_key=b"key").account("ada@example.com")
