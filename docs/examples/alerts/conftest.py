"""Makes the fixture `alert_tester` known."""

pytest_plugins = ["fastapi_cloudops.emulator.alerttest.pytest_plugin"]
