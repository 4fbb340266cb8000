"""The same policy, tested from Python."""

from pathlib import Path

from fastapi_cloudops.emulator.alerttest import AlertTester

POLICY = Path(__file__).with_name("slow_checkout.yaml")


def test_a_slow_database_opens_an_incident(alert_tester: AlertTester) -> None:
    alert_tester.load(POLICY)
    alert_tester.write("checkout_duration_seconds", "{{count:60 p50:0.9 p95:2.5 p99:4}}x60")
    alert_tester.clock.advance(minutes=3)
    alert_tester.assert_pending("slow_checkout")
    alert_tester.clock.advance(minutes=20)
    alert_tester.assert_open("slow_checkout")
    alert_tester.assert_notified("slow_checkout", "Runbook: https://example.com/slow_checkout")


def test_fast_checkouts_are_silent(alert_tester: AlertTester) -> None:
    alert_tester.load(POLICY)
    alert_tester.write("checkout_duration_seconds", "{{count:60 p50:0.1 p95:0.3}}x60")
    alert_tester.clock.advance(hours=1)
    alert_tester.assert_silent("slow_checkout")
