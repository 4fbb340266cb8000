"""What every service of the emulator shares: the project it plays, its clock, its journal, its switches."""

from dataclasses import dataclass, field

from .clock import Clock, SystemClock
from .journal import Journal, MemoryJournal


@dataclass(slots=True)
class Switches:
    """Behaviour that differs between the cloud's documents and its practice, or that a test wants otherwise."""

    # 5 s is the custom metrics quota row quoted in open-telemetry/opentelemetry-go#6677; older documents say 10 s.
    minimum_gap_seconds: float = 5.0


@dataclass(slots=True)
class Context:
    """One emulated project."""

    project_id: str = "demo"
    project_number: int = 123_456_789_012
    clock: Clock = field(default_factory=SystemClock)
    journal: Journal = field(default_factory=MemoryJournal)
    switches: Switches = field(default_factory=Switches)
