"""What is examined, and what is told of it."""

from dataclasses import dataclass, field
from typing import Literal

#: `note` asks nobody to do anything; `unknown` could not be looked at, and its message says why.
Status = Literal["ok", "note", "finding", "unknown"]


@dataclass(frozen=True)
class Check:
    """One answer.

    Attributes:
        name: What was looked at.
        status: How it is.
        message: A sentence for people.
        mend: The command, or the line of configuration, that mends it; empty where there is nothing to mend.
    """

    name: str
    status: Status
    message: str
    mend: str = ""


@dataclass(frozen=True)
class Subject:
    """Whose telemetry is looked for, and where.

    Attributes:
        project: Id of the project.
        service: The service's name, as its settings have it.
        environment: The service's environment, as its settings have it.
        google: The real project, not the emulator.
        minutes: What arrived within them arrived lately.
        metrics_domain: `prometheus`, `custom` or `workload`.
        metrics_namespace: The path of metrics in the last two.
        signals: What the service sends: `logs`, `metrics`, `traces`.
    """

    project: str
    service: str
    environment: str
    google: bool
    minutes: float = 15.0
    metrics_domain: str = "prometheus"
    metrics_namespace: str = "cloudops"
    signals: frozenset[str] = field(default_factory=lambda: frozenset({"logs", "metrics", "traces"}))

    @property
    def label(self) -> str:
        """How this project's own policies, dashboards and uptime checks end their names for people."""
        return f"{self.service}-{self.environment}"
