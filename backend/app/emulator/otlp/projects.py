"""The project that OTLP data is for: it stands in the resource, or in the caller's headers."""

from ..names import require_project
from ..project import Context
from ..status import invalid
from ..transport.caller import quota_project
from .resources import PROJECT, Attributes


def check_project(attributes: Attributes, context: Context) -> None:
    """Refuse data without a project, or for another one than the emulated.

    The attribute is required without credentials that name a project (opentelemetry-operations-go, MIGRATION.md); the
    sentence is ours.
    """
    project = attributes.get(PROJECT) or quota_project.get()
    if project:
        require_project(f"projects/{project}", context.project_id, context.project_number, PROJECT)
    elif context.switches.otlp_project_required:
        raise invalid(
            f'The resource has no attribute "{PROJECT}" and the call no header "x-goog-user-project": '
            f"set OTEL_RESOURCE_ATTRIBUTES={PROJECT}={context.project_id}."
        )
