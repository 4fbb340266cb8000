"""Whether this app traces: asked for, somewhere to send spans to, and the package for it."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .. import guard

if TYPE_CHECKING:
    from ..clock import Clock
    from ..logging.entry import Identity
    from ..metrics.instruments import MetricsClient
    from ..redaction import Redaction
    from ..settings import Settings
    from .traces import Traces

#: What to install; told in every message about it.
EXTRA = "pip install 'fastapi-cloudops[traces]'"


def installed() -> bool:
    try:
        return find_spec("opentelemetry.sdk") is not None
    except ModuleNotFoundError:  # not even its API
        return False


def choose(
    settings: "Settings",
    identity: "Callable[[], Identity]",
    redaction: "Redaction",
    metrics: "MetricsClient",
    clock: "Clock",
    *,
    excluded: Callable[[str], bool],
    located: Callable[[float], object],
    telemetry: Mapping[str, Any],
) -> "Traces | None":
    """Tracing of an app; None where it does not trace. Log entries carry the ids of the caller's trace all the same.

    Args:
        settings: `server_span` as it was set; where it was not, `telemetry` decides.
        identity: See `Traces`, as for all that follow.
        redaction: As above.
        metrics: As above.
        clock: As above.
        excluded: As above.
        located: As above.
        telemetry: What `FastAPI(telemetry=...)` was given. FastAPI makes the SERVER spans where it asks for them.
    """
    asked = bool(telemetry.get("tracing")) and "server_span" not in settings.model_fields_set
    if asked:
        settings = settings.model_copy(update={"server_span": "native"})
    if not settings.enable_tracing and not asked:
        return None
    exports = settings.enable_tracing and settings.traces_backend != "none" and _has_destination(settings, identity())
    learns = settings.server_span != "ours"
    if not exports and not learns:
        return None
    if not installed():
        guard.warn(
            f"fastapi-cloudops: ENABLE_TRACING is on, but spans need one more package: {EXTRA}; "
            "TRACES_BACKEND=none says that none are wanted"
        )
        return None
    from .traces import Traces  # noqa: PLC0415  # loads OpenTelemetry's API

    return Traces(
        settings,
        identity,
        redaction,
        metrics,
        clock,
        excluded=excluded,
        located=located,
        exports=exports,
        telemetry=telemetry,
    )


def _has_destination(settings: "Settings", identity: "Identity") -> bool:
    runtime = identity.runtime
    return bool(settings.otlp_traces_endpoint or runtime.project or runtime.platform != "other")
