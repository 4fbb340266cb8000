"""What every service of the emulator shares: the project it plays, its clock, its journal, its switches."""

from dataclasses import dataclass, field

from .clock import Clock, SystemClock
from .journal import Journal, MemoryJournal


@dataclass(slots=True)
class Switches:
    """Behaviour that differs between the cloud's documents and its practice, or that a test wants otherwise."""

    # 5 s is the custom metrics quota row quoted in open-telemetry/opentelemetry-go#6677; older documents say 10 s.
    minimum_gap_seconds: float = 5.0
    # Days a log entry is listed: the _Default bucket's retention (google/logging/v2/log_entry.proto, `timestamp`).
    log_retention_days: float = 30.0
    # Google's own OpenTelemetry exporter splits at 10 MB; the refusal's text is not published. 0 lets everything in.
    log_request_bytes: int = 10_485_760
    # Ours: what a laptop keeps in memory; older entries give way, and are counted.
    log_entries_kept: int = 200_000
    log_bytes_kept: int = 256 * 2**20
    # Google refuses alert policies on metrics it never saw (hashicorp/terraform-provider-google#11102); off, they load.
    metric_validation: bool = True
    # Multiples of the horizon that a forecast condition looks back; Google's "initial training time" is twice the
    # forecast window (cloud.google.com/monitoring/alerts/metric-forecast), its algorithm is not published. 0: no
    # forecast, the condition sees the values alone.
    forecast_training: float = 2.0
    # Google evaluates data as it arrives and does not publish how late that is: metric conditions look this far back.
    alert_delay_seconds: float = 0.0
    # Webhooks reach loopback addresses only, so that a policy file cannot make a laptop call strangers.
    webhooks_beyond_loopback: bool = False


@dataclass(slots=True)
class Context:
    """One emulated project."""

    project_id: str = "demo"
    project_number: int = 123_456_789_012
    clock: Clock = field(default_factory=SystemClock)
    journal: Journal = field(default_factory=MemoryJournal)
    switches: Switches = field(default_factory=Switches)
