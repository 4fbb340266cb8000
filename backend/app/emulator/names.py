"""Resource names: `projects/P/alertPolicies/ID` and their like."""

import re
import secrets

from .status import invalid_field, not_found

_PROJECT = re.compile(r"projects/([^/]+)(?:/|$)")


def project_of(name: str, field: str = "name") -> str:
    """The project id in a resource name.

    Raises:
        ApiError: INVALID_ARGUMENT when the name does not begin with `projects/<id>`.
    """
    match = _PROJECT.match(name)
    if match is None:
        raise invalid_field(field, "must begin with projects/<project id>.", name)
    return match.group(1)


def require_project(name: str, project_id: str, project_number: int, field: str = "name") -> None:
    """Refuse a name that belongs to another project than the emulated one."""
    if project_of(name, field) not in {project_id, str(project_number), "-"}:
        raise not_found(f"Project {project_of(name, field)} is not emulated here: this is {project_id}.")


def new_id() -> str:
    """An id as Cloud Monitoring makes them: a long decimal number."""
    return str(secrets.randbelow(9 * 10**18) + 10**18)
