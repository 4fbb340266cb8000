"""Every option once: its default, its environment variable (the upper-case name) and its meaning.

`docs/reference/settings.md` is written from this table.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import pydantic_settings
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .client_address import TrustedProxies
from .spool import SpoolOptions

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
MetricsDomain = Literal["prometheus", "custom", "workload"]


class SettingsError(ValueError):
    """A setting has a value that cannot be used. The message names the setting, the value and what is allowed."""


class Settings(BaseSettings):
    """The settings of one service, read from the environment."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    service_name: str = Field("", description="Name of the service. Empty: `K_SERVICE` (set by Cloud Run), else `app`.")
    service_version: str = Field(
        "", description="Version shown in logs and error reports. Empty: `K_REVISION` (set by Cloud Run)."
    )
    commit_sha: str = Field("", description="Commit that was built; a label of every entry.")
    environment: str = Field(
        "development", min_length=1, description="Deployment environment; the `namespace` of every metric."
    )
    google_cloud_project: str = Field(
        "", description="Project that receives metrics and owns traces. Empty: asked from the metadata server."
    )

    log_level: LogLevel = Field("INFO", description="Least severe level that is logged.")
    log_destination: Literal["stdout", "api"] = Field(
        "stdout",
        description="Where log entries go: standard output, or Cloud Logging's API for hosts without an agent.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="Form of the lines on standard output; `auto` is text in a terminal and JSON elsewhere."
    )
    log_name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9/_.-]{0,511}$",
        description="Name of the log with `LOG_DESTINATION=api`. Empty: the service.",
    )
    log_buffer_bytes: int = Field(
        16 * 2**20,
        ge=2**20,
        le=2**28,
        description="Bytes of log lines that may wait; beyond, the least severe go first.",
    )
    access_log: Literal["all", "problems", "off"] = Field(
        "all", description="One log entry per request: for all, for those that failed or were slow, or for none."
    )
    slow_request_seconds: float = Field(
        5.0,
        gt=0.0,
        description="A request that takes longer is told as a problem, with the entries sampling held back.",
    )
    excluded_routes: str = Field(
        "/health,/health/live,/health/ready,/health/startup,/health/detailed",
        description="Route templates, by commas, `*` for anything, that are not told while they answer below 400.",
    )
    log_sample_rates: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] = Field(
        {"DEBUG": 0.1},
        description="JSON: share of entries below WARNING to write, by severity, `logger:NAME` or `route:TEMPLATE`.",
    )
    trusted_proxies: str = Field(
        "", description="Whom to believe about the client's address: hops, networks, `cloud_run` or `load_balancer`."
    )
    debug_header_key: SecretStr | None = Field(
        None, description="Key for signing `X-Debug-Log`, which turns on debug entries for one request."
    )
    admin_token: SecretStr | None = Field(
        None, description="Bearer token for `PUT /admin/log-level`. Without one, the route does not exist."
    )
    redact_keys: str = Field("", description="Names of fields that hold secrets too, by commas, in any spelling.")
    redact_keep_keys: str = Field("", description="Names of fields that never hold secrets, whatever they look like.")
    redact_mode: Literal["mask", "hash", "drop"] = Field(
        "mask", description="What becomes of a secret: `[redacted]`, a keyed hash (`HASH_KEY`), or nothing."
    )
    audit_strict: bool = Field(
        False,
        description="An audit event with undeclared fields raises instead of saying so: for development.",
    )
    error_reporting: Literal["log", "api"] = Field(
        "log",
        description="Error events stand in the log; `api` also sends them, for hosts without a logging agent.",
    )
    hash_key: SecretStr | None = Field(
        None, description="Key for hashing user ids and accounts. Empty: a new one for each process."
    )

    enable_metrics: bool = Field(True, description="Record metrics and export them.")
    metrics_namespace: str = Field(
        "cloudops",
        pattern=r"^[a-zA-Z][a-zA-Z0-9_]{0,62}$",
        description="Path before each metric's name in the domains `custom` and `workload`.",
    )
    metrics_domain: MetricsDomain = Field(
        "prometheus", description="Domain of metric types: `prometheus.googleapis.com`, `custom...` or `workload...`."
    )
    metrics_catalogue: str = Field(
        "", description="Catalogue files of the service's own metrics, by commas. Read when the process starts."
    )
    metrics_open_values: int = Field(
        20,
        ge=1,
        le=200,
        description="How many values of an open label, such as an address, are told apart; the others are `other`.",
    )
    client_identity: Literal["full", "prefix", "hash", "off"] = Field(
        "full",
        description="Clients in metrics: their address (IPv6: /64), its network (/24, /48), a keyed hash, or nothing.",
    )
    metrics_export_interval: float = Field(
        60.0,
        ge=10.0,
        le=3600.0,
        description="Seconds between two exports of metrics; Cloud Monitoring wants 10 or more.",
    )
    metrics_backend: Literal["api", "otlp", "none"] = Field(
        "api",
        description="How metrics are written: Cloud Monitoring's own API, OTLP, or not at all, for `METRICS_ROUTE`.",
    )
    otlp_metrics_endpoint: str = Field(
        "",
        pattern=r"^$|^(grpc|grpcs|http|https)://[^\s/@]+(/[^\s]*)?$",
        description="Where OTLP metrics go: `grpc://`, `grpcs://`, `http://` or `https://` and `host:port`. "
        "Empty: the emulator if there is one, else `grpcs://telemetry.googleapis.com:443`.",
    )
    metrics_route: str = Field(
        "",
        pattern=r"^$|^(/[A-Za-z0-9._~-]+)+$",
        description="Path of a route that tells anybody the metrics of the process that answers, in Prometheus's text "
        "format, for Managed Prometheus collection. Empty: none.",
    )
    metrics_exemplars: bool = Field(
        True, description="Let the distribution of request durations lead to traces that were sampled."
    )
    enable_cost_tracking: bool = Field(
        False, description="Publish what this process sends: metric samples, spans and log bytes, and their price."
    )
    cost_prices: dict[Literal["metrics", "traces", "logs"], Annotated[float, Field(ge=0.0)]] = Field(
        {"metrics": 0.06e-6, "traces": 0.2e-6, "logs": 0.5 / 2**30},
        description="JSON: US dollars for one metric sample, one span and one byte of logs, without free allotments.",
    )

    enable_tracing: bool = Field(
        True, description="Link log entries to traces, and export spans where the extra `traces` is installed."
    )
    trace_sample_rate: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description="Share of successful requests to trace.",
    )
    error_trace_sample_rate: float = Field(
        1.0, ge=0.0, le=1.0, description="Share of failed requests, and of slow ones, to trace."
    )
    trace_sample_rates: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] = Field(
        {}, description="JSON: `TRACE_SAMPLE_RATE` by route template, `*` for anything; the first that fits counts."
    )
    trace_slow_seconds: dict[str, Annotated[float, Field(gt=0.0)]] = Field(
        {}, description="JSON: `SLOW_REQUEST_SECONDS` for traces by route template, `*` for anything."
    )
    trace_parent: Literal["auto", "honour", "ignore"] = Field(
        "auto",
        description="Whether the caller's sampled flag decides; `auto`: except on Cloud Run, where Google's front end "
        "sets it.",
    )
    server_span: Literal["ours", "native", "contrib"] = Field(
        "ours",
        description="Who makes the SERVER span of a request: this library, FastAPI 0.142 or newer, or "
        "`opentelemetry-instrumentation-fastapi`. Unset: FastAPI where `FastAPI(telemetry=...)` asks for it.",
    )
    traces_backend: Literal["otlp", "none"] = Field(
        "otlp", description="How spans are written: OTLP, or not at all; log entries link to the caller's trace anyway."
    )
    otlp_traces_endpoint: str = Field(
        "",
        pattern=r"^$|^(grpc|grpcs|http|https)://[^\s/@]+(/[^\s]*)?$",
        description="Where OTLP spans go: `grpc://`, `grpcs://`, `http://` or `https://` and `host:port`. "
        "Empty: the emulator if there is one, else `grpcs://telemetry.googleapis.com:443`.",
    )
    trace_buffer_bytes: int = Field(
        16 * 2**20,
        ge=2**20,
        le=2**28,
        description="Bytes of spans that may wait for the back end or for the end of their request; beyond, those of "
        "failed requests go last.",
    )

    health_routes: bool = Field(
        True,
        description="Add `/health`, `/health/live`, `/health/ready`, `/health/startup`, `/health/detailed` to the app.",
    )
    health_prefix: str = Field(
        "/health",
        pattern=r"^(/[A-Za-z0-9._~-]+)+$",
        description="Path of the first health endpoint, and the beginning of the others.",
    )
    health_names: dict[
        Literal["live", "ready", "startup", "detailed"], Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]+$")]
    ] = Field({}, description='JSON: other names below `HEALTH_PREFIX`, such as `{"ready": "readyz"}`.')
    health_in_openapi: bool = Field(False, description="Show the health endpoints in the OpenAPI document.")
    health_check_interval: float = Field(
        10.0, gt=0.0, le=3600.0, description="Seconds for which a good result of a health check is used again."
    )
    health_check_retry_interval: float = Field(
        3.0,
        gt=0.0,
        le=3600.0,
        description="The same for any other result; never more than `HEALTH_CHECK_INTERVAL`.",
    )
    health_check_expiry: float = Field(
        30.0,
        gt=0.0,
        le=3600.0,
        description="Seconds after which nobody is told a good result any more. Between `HEALTH_CHECK_INTERVAL` and "
        "this, it is told while the check is asked again.",
    )
    health_check_background: bool = Field(
        True, description="Ask the checks again in the background, so that metrics and probes need not wait for them."
    )
    health_check_timeout: float = Field(
        2.0, gt=0.0, le=60.0, description="Seconds after which all checks of one probe are given up together."
    )
    health_token: SecretStr | None = Field(
        None, description="Bearer token that opens `/health/detailed`. Without one, it tells the status alone."
    )
    health_networks: str = Field(
        "",
        description="Networks by commas whose clients see `/health/detailed` without a token; see `TRUSTED_PROXIES`.",
    )
    health_iap_audience: str = Field(
        "",
        pattern=r"^$|^/projects/[0-9]+/(global|locations/[a-z0-9-]+)/(backendServices|services)/[A-Za-z0-9_-]+$",
        description="Audience of Identity-Aware Proxy's signed header, which then opens `/health/detailed` too. "
        "Empty: the header opens nothing.",
    )

    spool_directory: str = Field(
        "",
        description="Directory in which API log entries and spans wait on disk too, so that they survive SIGKILL. Made "
        "with mode 0700 if it is missing. Empty: they wait in memory alone.",
    )
    spool_bytes: int = Field(
        64 * 2**20,
        ge=4 * 2**20,
        le=2**34,
        description="Bytes of all files in `SPOOL_DIRECTORY`, of all workers.",
    )

    drain_seconds: float = Field(
        0.0,
        ge=0.0,
        le=600.0,
        description="Seconds between SIGTERM, when readiness begins to fail, and the server's own handling of it. "
        "0 on Cloud Run, which has taken the instance out before.",
    )

    cloudops_emulator_host: str = Field(
        "",
        pattern=r"^$|^[^\s/]+:\d{1,5}$",
        description="`host:port` of the emulator's gRPC port. Set: nothing is sent to Google Cloud.",
    )

    @field_validator("health_names")
    @classmethod
    def _names_differ(cls, value: dict[str, str]) -> dict[str, str]:
        names = [value.get(role, role) for role in ("live", "ready", "startup", "detailed")]
        if len(set(names)) < len(names):
            raise ValueError(f"two endpoints would have the same path: {', '.join(names)}")
        return value

    @field_validator("health_networks")
    @classmethod
    def _names_networks(cls, value: str) -> str:
        if (parsed := TrustedProxies.parse(value)).hops or parsed.unix or parsed.forwarded:
            raise ValueError(f"{value!r} is no list of networks, such as '10.0.0.0/8,192.0.2.7'")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _names_proxies(cls, value: str) -> str:
        TrustedProxies.parse(value)
        return value

    @property
    def service(self) -> str:
        return self.service_name or os.environ.get("K_SERVICE", "") or "app"

    @property
    def version(self) -> str:
        return self.service_version or os.environ.get("K_REVISION", "")

    @property
    def spool(self) -> SpoolOptions | None:
        """Where API log entries and spans wait on disk; None: nowhere."""
        return SpoolOptions(self.spool_directory, self.spool_bytes) if self.spool_directory else None

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Settings from the environment, with `overrides` by field name.

        Raises:
            SettingsError: A value is out of range; every wrong one is named.
        """
        try:
            return cls(**overrides)  # type: ignore[arg-type]  # pydantic checks the types
        except ValidationError as error:
            raise SettingsError(_explain(error, overrides)) from None
        except pydantic_settings.SettingsError as error:  # raised before any value is checked
            raise SettingsError(f"Wrong settings, the service does not start:\n  {_unread(error)}") from None


def _unread(error: pydantic_settings.SettingsError) -> str:
    found = re.search(r'field "(\w+)"', str(error))
    if found is None:
        return str(error)
    name = found[1].upper()
    return f"{name}={os.environ.get(name, os.environ.get(found[1]))!r}: Input should be JSON"


def _explain(error: ValidationError, overrides: Mapping[str, object]) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        field = str(problem["loc"][0])
        field = field if field in Settings.model_fields else field.lower()
        value = overrides.get(field, os.environ.get(field.upper(), os.environ.get(field)))
        shown = "***" if field in _SECRETS else repr(value)
        lines.append(f"{field.upper()}={shown}: {_allowed(field, problem['msg'])}")
    return "Wrong settings, the service does not start:\n  " + "\n  ".join(lines)


_SECRETS = {"admin_token", "debug_header_key", "hash_key", "health_token"}


def _allowed(field: str, message: str) -> str:
    bounds: dict[str, object] = {}
    info = Settings.model_fields.get(field)
    for constraint in info.metadata if info else ():
        for name in ("ge", "gt", "le", "lt"):
            if hasattr(constraint, name):
                bounds[name] = getattr(constraint, name)
    low = f"from {bounds['ge']:.12g}" if "ge" in bounds else f"above {bounds['gt']:.12g}" if "gt" in bounds else ""
    high = f"to {bounds['le']:.12g}" if "le" in bounds else ""
    allowed = " ".join(part for part in (low, high) if part)
    return f"{message}; allowed: {allowed}" if allowed else message


def secret(value: SecretStr | None) -> bytes:
    """The bytes of a secret setting; empty when it is not set."""
    return value.get_secret_value().encode() if value is not None else b""


def listed(value: str) -> list[str]:
    """The parts of a setting that is a list, by commas."""
    return [part.strip() for part in value.split(",") if part.strip()]
