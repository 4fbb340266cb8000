"""What every service of the emulator shares: the project it plays, its clock, its journal, its switches."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .clock import Clock, SystemClock
from .journal import Journal, MemoryJournal


@dataclass(slots=True)
class Switches:
    """Behaviour that differs between the cloud's documents and its practice, or that a test wants otherwise."""

    # 5 s is the custom metrics quota row quoted in open-telemetry/opentelemetry-go#6677; older documents say 10 s.
    minimum_gap_seconds: float = 5.0
    # The same for prometheus.googleapis.com, which some notes put at 10 s while Google's quota pages do not tell it
    # apart; 0: the gap of all others.
    prometheus_gap_seconds: float = 0.0
    # How refused series are told: as since 2025 (GoogleCloudPlatform/opentelemetry-operations-python#431), or as from
    # 2020 to 2024 (micrometer-metrics/micrometer#2160).
    old_write_errors: bool = False
    # The console offers 30 minutes to 7 days for autoClose and 30 minutes to 24 hours for renotifyInterval; whether the
    # API refuses others is not published.
    strategy_bounds: bool = False
    # Days a log entry is listed: the _Default bucket's retention (google/logging/v2/log_entry.proto, `timestamp`).
    log_retention_days: float = 30.0
    # Google's own OpenTelemetry exporter splits at 10 MB; the refusal's text is not published. 0 lets everything in.
    log_request_bytes: int = 10_485_760
    # Ours: what a laptop keeps in memory; older entries give way, and are counted.
    log_entries_kept: int = 200_000
    log_bytes_kept: int = 256 * 2**20
    # Ours too: bytes of points in memory; the oldest give way, and are counted.
    point_bytes_kept: int = 512 * 2**20
    # Google refuses alert policies on metrics it never saw (hashicorp/terraform-provider-google#11102); off, they load.
    metric_validation: bool = True
    # Multiples of the horizon that a forecast condition looks back; Google's "initial training time" is twice the
    # forecast window (cloud.google.com/monitoring/alerts/metric-forecast), its algorithm is not published. 0: no
    # forecast, the condition sees the values alone.
    forecast_training: float = 2.0
    # Google evaluates data as it arrives and does not publish how late that is: metric conditions look this far back.
    alert_delay_seconds: float = 0.0
    # OTLP data names its project (opentelemetry-operations-go, MIGRATION.md); off, what names none belongs to the
    # emulated one.
    otlp_project_required: bool = True
    # docs.cloud.google.com/stackdriver/quotas: spans are kept for 30 days.
    trace_retention_days: float = 30.0
    # Ours: what a laptop keeps in memory; the oldest traces give way, and are counted.
    trace_spans_kept: int = 100_000
    # Sizes of a span as v2/trace.proto documents them (32 attributes of 256 bytes ...); off: what the storage takes
    # since 2025 (docs.cloud.google.com/stackdriver/quotas).
    trace_limits_of_proto: bool = False
    # google/monitoring/v3/notification.proto, VerificationStatus: which types of channels need verification "to
    # function" is not published; on, it is SMS, and such a channel gets nothing before VerifyNotificationChannel.
    verify_channels: bool = False
    # Where e-mails go: an SMTP server (host:port), a folder of .eml files, both, or nowhere (then they are recorded).
    smtp_address: str = ""
    mail_folder: str = ""
    # Channel type (slack, pagerduty, sms, google_chat, pubsub, email) or a channel's own address -> the URL instead.
    notification_urls: Mapping[str, str] = field(default_factory=dict)
    # Webhooks reach loopback addresses only, so that a policy file cannot make a laptop call strangers.
    webhooks_beyond_loopback: bool = False


def with_switches(switches: Switches, settings: Mapping[str, str]) -> Switches:
    """The switches with some of them set from text, such as `minimum_gap_seconds` = `10`.

    Raises:
        ValueError: No switch has the name, or it does not take the value.
    """
    known = {one.name: getattr(Switches(), one.name) for one in fields(Switches)}
    changed: dict[str, Any] = {}
    for name, text in settings.items():
        usual = known.get(name)
        if isinstance(usual, bool) and text in {"true", "false"}:
            changed[name] = text == "true"
        elif isinstance(usual, int | float | str) and not isinstance(usual, bool):
            changed[name] = type(usual)(text)
        elif usual is None:
            raise ValueError(f"there is no switch {name}; the switches are {', '.join(sorted(known))}")
        else:
            raise ValueError(f"the switch {name} does not take {text!r}")
    return replace(switches, **changed) if changed else switches


@dataclass(slots=True)
class Context:
    """One emulated project."""

    project_id: str = "demo"
    project_number: int = 123_456_789_012
    clock: Clock = field(default_factory=SystemClock)
    journal: Journal = field(default_factory=MemoryJournal)
    switches: Switches = field(default_factory=Switches)
