"""Logs, metrics, health and alerts for FastAPI on Google Cloud."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core import Observability as Observability
    from .core import Settings as Settings
    from .core import bind as bind
    from .core import get_logger as get_logger
    from .core import health as health
    from .core import instrument as instrument
    from .core import metrics_client as metrics_client
    from .core import outgoing_headers as outgoing_headers
    from .core import request_context as request_context
    from .core import set_level as set_level
    from .core import set_user as set_user
    from .core import shed as shed

__all__ = [
    "Observability",
    "Settings",
    "bind",
    "get_logger",
    "health",
    "instrument",
    "metrics_client",
    "outgoing_headers",
    "request_context",
    "set_level",
    "set_user",
    "shed",
]


def __getattr__(name: str) -> object:
    # Lazy, so that importing one part (the emulator, say) never loads another.
    if name in __all__:
        from . import core  # noqa: PLC0415  # the point of this function

        return getattr(core, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
