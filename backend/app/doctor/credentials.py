"""Who is asking: application default credentials, as Google's own libraries find them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .api import SCOPE
from .model import Check

LOGIN = "gcloud auth application-default login"


class Identified(NamedTuple):
    check: Check
    token: Callable[[], str] | None
    project: str
    """That the credentials name; may be empty."""


def identify() -> Identified:
    """Find credentials and ask for a token once, so that expired ones are told here."""
    import google.auth  # noqa: PLC0415  # only for the real API
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415  # as above
    from google.auth.transport.requests import Request  # noqa: PLC0415  # as above

    try:
        credentials, project = google.auth.default(scopes=[SCOPE])
        credentials.refresh(Request())  # type: ignore[no-untyped-call]  # google-auth is not typed there
    except GoogleAuthError as error:
        told = " ".join(str(error).split()).partition(". To set up")[0][:200]
        return Identified(Check("credentials", "finding", told, LOGIN), None, "")

    def token() -> str:
        if not credentials.valid:
            credentials.refresh(Request())  # type: ignore[no-untyped-call]  # as above
        return str(credentials.token)

    return Identified(
        Check("credentials", "ok", f"application default credentials of {_who(credentials)}"), token, project or ""
    )


def _who(credentials: Any) -> str:
    for name in ("service_account_email", "account", "_target_principal"):
        if value := getattr(credentials, name, ""):
            return str(value)
    return "a user"
