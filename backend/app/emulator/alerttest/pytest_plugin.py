"""The fixture `alert_tester` for a project's own tests.

In its conftest.py: `pytest_plugins = ["fastapi_cloudops.emulator.alerttest.pytest_plugin"]`
"""

import pytest

from .tester import AlertTester


@pytest.fixture
def alert_tester() -> AlertTester:
    """A fresh emulator on a clock that stands still: `load`, `write`, `clock.advance`, `assert_open`."""
    return AlertTester()
