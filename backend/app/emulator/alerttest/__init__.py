"""Unit tests for alert policies: `cloudops test`, and `AlertTester` for tests in Python.

A package beside `alerting` and not in it: it stands on the whole emulator (stores, definitions, alerting), no part of
which may know it.
"""

from .errors import ScriptError
from .policies import Policy, read_policies
from .tester import AlertTester
from .timeline import Notification

__all__ = ["AlertTester", "Notification", "Policy", "ScriptError", "read_policies"]
