"""What of accounts is told: metrics, the security team's counter, and the audit log."""

from dataclasses import dataclass

from ...core import metrics_client
from ...core.logging.audit import AuditEvent, audit_field

attempts = metrics_client.counter("auth_login_attempts_total")
failures = metrics_client.counter("auth_login_failures_total")
refreshes = metrics_client.counter("auth_token_refresh_total")
durations = metrics_client.histogram("auth_session_duration_seconds")
active = metrics_client.gauge("auth_active_sessions")
refused = metrics_client.counter("authorization_failures_total")
security = metrics_client.counter("security_events_total")

# Roles of those who did not log in: an attempt's role is only known when it succeeds, and must not tell who exists.
NOBODY = "unknown"


@dataclass(frozen=True)
class AccountRegistered(AuditEvent):
    target: str = audit_field(exact=True)
    client: str = ""


@dataclass(frozen=True)
class LoginSucceeded(AuditEvent):
    actor: str = audit_field(exact=True)
    session: str = audit_field(exact=True)
    client: str = ""


@dataclass(frozen=True)
class LoginFailed(AuditEvent):
    """`target` is empty where there is no such account; the reason never leaves the log."""

    target: str = audit_field(exact=True)
    reason: str = ""
    client: str = ""


@dataclass(frozen=True)
class LockoutBegan(AuditEvent):
    """`account` is the keyed hash by which metrics know it, too; empty where an address is locked."""

    scope: str
    account: str = audit_field(exact=True)
    client: str = ""


@dataclass(frozen=True)
class SessionEnded(AuditEvent):
    actor: str = audit_field(exact=True)
    session: str = audit_field(exact=True)
    reason: str = ""


@dataclass(frozen=True)
class RefreshTokenReused(AuditEvent):
    """Somebody else has the token, too: the session has been ended."""

    target: str = audit_field(exact=True)
    session: str = audit_field(exact=True)
    client: str = ""


@dataclass(frozen=True)
class RoleChanged(AuditEvent):
    actor: str = audit_field(exact=True)
    target: str = audit_field(exact=True)
    role_before: str = ""
    role_after: str = ""


@dataclass(frozen=True)
class AccountDisabled(AuditEvent):
    actor: str = audit_field(exact=True)
    target: str = audit_field(exact=True)
    disabled: bool = True


@dataclass(frozen=True)
class LockoutLifted(AuditEvent):
    actor: str = audit_field(exact=True)
    target: str = audit_field(exact=True)


@dataclass(frozen=True)
class FeatureSwitched(AuditEvent):
    actor: str = audit_field(exact=True)
    feature: str = audit_field(exact=True)
    on: bool = True
