"""Resource Manager v1 and v3: the one emulated project, and its IAM policy."""

import datetime as dt
from typing import Any

from ..clock import NANOS
from ..names import require_project
from ..project import Context
from ..transport.rest import JsonCall
from .policies import Policies, PolicyMethods


class ProjectsV1(PolicyMethods):
    def __init__(self, context: Context, policies: Policies) -> None:
        super().__init__(policies)
        self._context = context
        self._created = _rfc3339(context.clock.now())

    def get_project_json(self, call: JsonCall) -> Any:
        self._check(call)
        return self._project()

    def list_projects_json(self, call: JsonCall) -> Any:
        del call
        return {"projects": [self._project()]}

    def _check(self, call: JsonCall) -> None:
        require_project(call.variables["name"], self._context.project_id, self._context.project_number)

    def _project(self) -> dict[str, Any]:
        return {
            "projectNumber": str(self._context.project_number),
            "projectId": self._context.project_id,
            "lifecycleState": "ACTIVE",
            "name": self._context.project_id,
            "createTime": self._created,
        }


class ProjectsV3(ProjectsV1):
    def _project(self) -> dict[str, Any]:
        return {
            "name": f"projects/{self._context.project_number}",
            "projectId": self._context.project_id,
            "state": "ACTIVE",
            "displayName": self._context.project_id,
            "createTime": self._created,
            "updateTime": self._created,
            "etag": 'W/"1"',
        }

    def search_projects_json(self, call: JsonCall) -> Any:
        return self.list_projects_json(call)


def _rfc3339(nanos: int) -> str:
    return f"{dt.datetime.fromtimestamp(nanos // NANOS, dt.UTC):%Y-%m-%dT%H:%M:%S}Z"
