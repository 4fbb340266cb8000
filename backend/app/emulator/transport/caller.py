"""Who calls, as far as a service asks: the quota project of the call being answered."""

from contextvars import ContextVar

# cloud.google.com/apis/docs/system-parameters, `X-Goog-User-Project`.
HEADER = "x-goog-user-project"

quota_project: ContextVar[str] = ContextVar("quota_project", default="")
