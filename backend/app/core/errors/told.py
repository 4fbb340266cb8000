"""The exception that has been reported already."""

from contextvars import ContextVar

#: The server's own entry about it, which comes next in the same context, would tell it twice.
told: ContextVar[BaseException | None] = ContextVar("fastapi_cloudops_told", default=None)
