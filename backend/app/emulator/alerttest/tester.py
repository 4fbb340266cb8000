"""Alert policies on a clock that a test moves: series and log entries in, incidents and notifications out.

    tester = AlertTester()
    tester.load("alerts/high_error_rate.yaml")
    tester.write('http_request_total{status_code="500"}', "0+30x20")
    tester.clock.advance(minutes=10)
    tester.assert_open("high_error_rate")

It is the emulator itself, without wires: its metric store, its log store, its evaluator.
"""

from pathlib import Path
from typing import Any

from .notation import duration_text
from .policies import read_policies
from .timeline import State, Timeline


class AlertTester(Timeline):
    """What a Python test holds: `load`, `write`, `log`, `snooze`, `clock.advance`, and the assertions."""

    __test__ = False  # pytest collects classes by their name

    def load(self, *paths: str | Path, **variables: Any) -> list[str]:
        """Policies from files and folders, with values for their templates; answers their keys.

        Raises:
            ScriptError: A file cannot be used.
        """
        self.variables |= variables
        found = read_policies([Path(path) for path in paths], self.variables)
        for policy in found:
            self.add(policy)
        return [policy.key for policy in found]

    def assert_state(self, policy: str, state: State, **labels: str) -> None:
        """Fail unless the policy (of those labels) is in that state now."""
        found = self.state(policy, labels)
        problem = self.errors.get(self.policy(policy).display_name)
        assert not problem, f"{policy} cannot be evaluated: {problem}"
        at = duration_text(self.clock.seconds)
        shown = f" with {labels}" if labels else ""
        seen = "; ".join(self.seen(policy)) or "it saw no series"
        assert found == state, f"at {at} {policy}{shown} is {found}, expected {state}: {seen}"

    def assert_open(self, policy: str, **labels: str) -> None:
        self.assert_state(policy, "open", **labels)

    def assert_pending(self, policy: str, **labels: str) -> None:
        self.assert_state(policy, "pending", **labels)

    def assert_closed(self, policy: str, **labels: str) -> None:
        self.assert_state(policy, "closed", **labels)

    def assert_silent(self, policy: str) -> None:
        """Fail if the policy ever opened an incident or told anybody."""
        self.assert_state(policy, "none")
        assert not self.told(policy), f"{policy} told: {[one.subject for one in self.told(policy)]}"

    def assert_notified(self, policy: str, *texts: str, event: str = "opened") -> None:
        """Fail unless the newest notification of the policy is of that event and has all those texts."""
        told = self.told(policy)
        assert told, f"{policy} told nobody"
        assert told[-1].event == event, f"{policy} last told of {told[-1].event}, expected {event}"
        for text in texts:
            assert text in told[-1].text, f"{text!r} is not in what {policy} told:\n{told[-1].text}"
