"""Facts about HTTP that logs, metrics and traces share: one taxonomy of outcomes."""

import asyncio
from typing import Final, Literal

#: RFC 9110's methods and PATCH; anything else a client makes up is one label value.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
OTHER_METHOD: Final = "_OTHER"
#: nginx's number for a client that left before the answer; Cloud Run's own log has 499 as well.
CLIENT_CLOSED: Final = 499

Outcome = Literal["ok", "client_error", "server_error", "client_closed", "timeout", "aborted_stream", "shed"]


def outcome_of(status: int, error: BaseException | None, *, complete: bool, left: bool, shed: bool) -> Outcome:
    """What became of a request.

    Args:
        status: Of the response; 0 when none was started.
        error: What the app raised, if anything.
        complete: Whether the last byte of the response was sent.
        left: Whether the client was gone before that.
        shed: Whether the service's own limiter refused the request.
    """
    if left or (not complete and isinstance(error, asyncio.CancelledError)):
        return "client_closed"
    if not complete and status:
        return "aborted_stream"
    if status == 504 or isinstance(error, TimeoutError):  # noqa: PLR2004  # HTTP's number
        return "timeout"
    if shed and status in {429, 503}:
        return "shed"
    if not status or status >= 500:  # noqa: PLR2004  # HTTP's classes
        return "server_error"
    return "client_error" if status >= 400 else "ok"  # noqa: PLR2004  # HTTP's classes
