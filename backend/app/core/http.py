"""Facts about HTTP that logs and metrics share."""

from typing import Final

#: RFC 9110's methods and PATCH; anything else a client makes up is one label value.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
OTHER_METHOD: Final = "_OTHER"
#: nginx's number for a client that left before the answer; Cloud Run's own log has 499 as well.
CLIENT_CLOSED: Final = 499


def outcome_of_status(status: int) -> str:
    if status < 400:  # noqa: PLR2004  # HTTP's classes
        return "ok"
    return "client_error" if status < 500 else "server_error"  # noqa: PLR2004  # HTTP's classes
