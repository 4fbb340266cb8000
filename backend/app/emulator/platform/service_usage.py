"""Service Usage v1 (google/api/serviceusage/v1): which APIs are enabled. None is switched off by it here."""

import re
from typing import Any

from ..names import new_id, require_project
from ..paging import page_of
from ..project import Context
from ..status import invalid, missing_field, not_found
from ..transport.rest import JsonCall
from .documents import Documents, Json, only, page_size

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*\.[a-z]{2,}")
_MOST_ENABLED, _MOST_READ, _LARGEST_PAGE = 20, 30, 200
_TYPE = "type.googleapis.com/google.api.serviceusage.v1"
_PLACE, _OPERATIONS = "services/", "operations/"


class ServiceUsage:
    def __init__(self, context: Context, documents: Documents) -> None:
        self._context = context
        self._documents = documents

    def enable_service_json(self, call: JsonCall) -> Any:
        service = self._service_in(call.variables["name"])
        only(call.body, frozenset())
        changed = self._set(service, "ENABLED")
        return self._done("Enable", {"service": self._told(service)}, changed=changed)

    def disable_service_json(self, call: JsonCall) -> Any:
        service = self._service_in(call.variables["name"])
        only(call.body, frozenset({"disableDependentServices", "checkIfServiceHasUsage"}))
        changed = self._set(service, "DISABLED")
        return self._done("Disable", {"service": self._told(service)}, changed=changed)

    def batch_enable_services_json(self, call: JsonCall) -> Any:
        self._check(call.variables["parent"])
        wanted = only(call.body, frozenset({"serviceIds"})).get("serviceIds", [])
        if not isinstance(wanted, list) or not 0 < len(wanted) <= _MOST_ENABLED:
            raise invalid(f"A single request enables 1 to {_MOST_ENABLED} services.")
        names = [_checked(one) for one in wanted]
        changed = [self._set(one, "ENABLED") for one in names]
        return self._done("BatchEnable", {"services": [self._told(one) for one in names]}, changed=any(changed))

    def get_service_json(self, call: JsonCall) -> Any:
        return self._told(self._service_in(call.variables["name"]))

    def batch_get_services_json(self, call: JsonCall) -> Any:
        self._check(call.variables["parent"])
        names = [value for key, value in call.query if key == "names"]
        if not 0 < len(names) <= _MOST_READ:
            raise invalid(f"A single request reads 1 to {_MOST_READ} services.")
        return {"services": [self._told(self._service_in(name)) for name in names]}

    def list_services_json(self, call: JsonCall) -> Any:
        self._check(call.variables["parent"])
        given = dict(call.query)
        wanted = given.get("filter", "")
        if wanted not in {"", "state:ENABLED", "state:DISABLED"}:
            raise invalid("The allowed filter strings are 'state:ENABLED' and 'state:DISABLED'.")
        size = page_size(call.query)
        if size > _LARGEST_PAGE:
            raise invalid(f"pageSize must be a number up to {_LARGEST_PAGE}.")
        found = [
            self._told(one["service"])
            for one in self._documents.under(_PLACE)
            if wanted in {"", f"state:{one['state']}"}
        ]
        page, token = page_of(found, size or 50, given.get("pageToken", ""), _LARGEST_PAGE)
        answer: Json = {"services": list(page)} if page else {}
        return answer | ({"nextPageToken": token} if token else {})

    def operation(self, name: str) -> Json:
        found = self._documents.get(name)
        if found is None:
            raise not_found(f"Operation {name} not found.")
        return found

    def _service_in(self, name: str) -> str:
        parent, _, service = name.partition("/services/")
        self._check(parent)
        return _checked(service)

    def _check(self, parent: str) -> None:
        require_project(parent, self._context.project_id, self._context.project_number, "parent")

    def _set(self, service: str, state: str) -> bool:
        before = (self._documents.get(f"{_PLACE}{service}") or {}).get("state", "DISABLED")
        if before == state:
            return False
        self._documents.put(f"{_PLACE}{service}", {"service": service, "state": state})
        return True

    def _told(self, service: str) -> Json:
        number = self._context.project_number
        return {
            "name": f"projects/{number}/services/{service}",
            "config": {"name": service},
            "state": (self._documents.get(f"{_PLACE}{service}") or {}).get("state", "DISABLED"),
            "parent": f"projects/{number}",
        }

    def _done(self, verb: str, response: Json, *, changed: bool) -> Json:
        """An operation that has ended; one that changed nothing has the name that the API gives it."""
        kind = {"Enable": "EnableServiceResponse", "Disable": "DisableServiceResponse"}.get(
            verb, "BatchEnableServicesResponse"
        )
        name = f"{_OPERATIONS}acat.p2-{self._context.project_number}-{new_id()}"
        operation = {
            "name": name if changed else f"{_OPERATIONS}noop.DONE_OPERATION",
            "metadata": {"@type": f"{_TYPE}.OperationMetadata"},
            "done": True,
            "response": {"@type": f"{_TYPE}.{kind}", **response},
        }
        self._documents.put(str(operation["name"]), operation)
        return operation


def _checked(service: Any) -> str:
    if not service:
        raise missing_field("service")
    if not isinstance(service, str) or _NAME.fullmatch(service) is None:
        raise invalid(f"'{service}' is no service name such as monitoring.googleapis.com.")
    return service


class Operations:
    """google.longrunning.Operations: those of Service Usage over REST, those of Cloud Logging over gRPC."""

    def __init__(self, usage: ServiceUsage, of_logging: Any) -> None:
        self._usage = usage
        self._of_logging = of_logging

    def get_operation(self, request: Any) -> Any:
        return self._of_logging(request.name)

    def get_operation_json(self, call: JsonCall) -> Any:
        return self._usage.operation(call.variables["name"])
