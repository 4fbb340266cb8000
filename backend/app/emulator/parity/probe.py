"""One call that is made of both, and what names its things.

Everything that is written has the run's own name: metrics below `custom.googleapis.com/cloudops_parity/<run>/`, one log
`cloudops-parity-<run>`. The rest is refused or only read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

METRICS: Final = "google.monitoring.v3.MetricService"
LOGGING: Final = "google.logging.v2.LoggingServiceV2"
POLICIES: Final = "google.monitoring.v3.AlertPolicyService"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of all probes over one wire names its things."""

    project: str
    name: str
    """Lower-case letters and digits."""
    began: datetime

    @property
    def prefix(self) -> str:
        return f"custom.googleapis.com/cloudops_parity/{self.name}"

    @property
    def log_name(self) -> str:
        return f"projects/{self.project}/logs/cloudops-parity-{self.name}"

    @property
    def policy_name(self) -> str:
        return f"cloudops parity {self.name}"

    @property
    def parent(self) -> str:
        return f"projects/{self.project}"


@dataclass(frozen=True, slots=True)
class Probe:
    name: str
    says: str
    """What the emulator believes, and from where."""
    method: str
    request: Callable[[Run], Mapping[str, Any]]
    writes: bool = False
    """Whether it leaves something that must be taken away."""


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
