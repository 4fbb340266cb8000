"""google.monitoring.dashboard.v1.DashboardsService."""

from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from google.cloud import monitoring_dashboard_v1
from google.protobuf import empty_pb2

from ..names import new_id, require_project
from ..paging import page_of
from ..project import Context
from ..status import ApiError, Code, already_exists, invalid, invalid_field, missing_field, not_found
from .raw import Raw, etag_of, from_message, to_message

_DASHBOARD = "dashboards.dashboard"
_DELETED = "dashboards.deleted"
# "If unspecified, a default of 1000 is used" (google/monitoring/dashboard/v1/dashboards_service.proto).
_PAGE = 1000
_ListDashboardsResponse = monitoring_dashboard_v1.ListDashboardsResponse.pb()


class Call(Protocol):
    """A REST call, as transport/rest.py hands it over."""

    @property
    def variables(self) -> dict[str, str]: ...
    @property
    def query(self) -> Sequence[tuple[str, str]]: ...
    @property
    def body(self) -> Any: ...


class DashboardsService:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._dashboards: dict[str, Raw] = {}

    def create(self, parent: str, wanted: Raw, *, validate_only: bool = False) -> Raw:
        """Store a dashboard under the id in its name, else under a new one."""
        self._check_project(parent, "parent")
        _check(wanted)
        name = self._own_name(wanted["name"]) if wanted.get("name") else self._name(new_id())
        if name in self._dashboards:
            raise already_exists(f"Dashboard {name} already exists.")
        return self._keep(name, wanted, validate_only=validate_only)

    def update(self, name: str, wanted: Raw, *, validate_only: bool = False) -> Raw:
        """Replace a dashboard; an etag that is given must be that of the stored version (google.aip.dev/154)."""
        name = self._own_name(name)
        stored = self.get(name)
        _check(wanted)
        if wanted.get("etag") not in {None, "", stored["etag"]}:
            raise ApiError(Code.ABORTED, f"The etag does not match: {name} was changed after it was read.")
        return self._keep(name, wanted, validate_only=validate_only)

    def get(self, name: str) -> Raw:
        name = self._own_name(name)
        if name not in self._dashboards:
            raise not_found(f"Dashboard {name} was not found.")
        return self._dashboards[name]

    def all(self) -> list[Raw]:
        """Every dashboard, by name."""
        return [self._dashboards[name] for name in sorted(self._dashboards)]

    def delete(self, name: str) -> None:
        name = self.get(name)["name"]
        self._context.journal.append(_DELETED, name.encode())
        del self._dashboards[name]

    def create_dashboard(self, request: Any) -> Any:
        return to_message(
            self.create(request.parent, from_message(request.dashboard), validate_only=request.validate_only)
        )

    def update_dashboard(self, request: Any) -> Any:
        raw = from_message(request.dashboard)
        return to_message(self.update(request.dashboard.name, raw, validate_only=request.validate_only))

    def get_dashboard(self, request: Any) -> Any:
        return to_message(self.get(request.name))

    def list_dashboards(self, request: Any) -> Any:
        page, token = self._page(request.parent, request.page_size, request.page_token)
        return _ListDashboardsResponse(dashboards=[to_message(raw) for raw in page], next_page_token=token)

    def delete_dashboard(self, request: Any) -> empty_pb2.Empty:
        self.delete(request.name)
        return empty_pb2.Empty()

    def create_dashboard_json(self, call: Call) -> Raw:
        return self.create(call.variables["parent"], _object(call.body), validate_only=_validate_only(call))

    def update_dashboard_json(self, call: Call) -> Raw:
        return self.update(call.variables["dashboard.name"], _object(call.body), validate_only=_validate_only(call))

    def get_dashboard_json(self, call: Call) -> Raw:
        return self.get(call.variables["name"])

    def list_dashboards_json(self, call: Call) -> Raw:
        query = dict(call.query)
        size = query.get("pageSize", "0")
        if not size.isdecimal():
            raise invalid_field("pageSize", "It must be a number.", size)
        page, token = self._page(call.variables["parent"], int(size), query.get("pageToken", ""))
        return {"dashboards": list(page)} | ({"nextPageToken": token} if token else {})

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a journalled record; it was valid when it was written."""
        if kind == _DASHBOARD:
            raw: Raw = orjson.loads(record)
            self._dashboards[raw["name"]] = raw
        elif kind == _DELETED:
            del self._dashboards[record.decode()]
        else:
            raise ValueError(f"the journal holds a record of an unknown kind: {kind}")

    def _keep(self, name: str, wanted: Raw, *, validate_only: bool) -> Raw:
        raw = wanted | {"name": name, "etag": etag_of(wanted)}
        if not validate_only:
            self._context.journal.append(_DASHBOARD, orjson.dumps(raw))
            self._dashboards[name] = raw
        return raw

    def _page(self, parent: str, size: int, token: str) -> tuple[Sequence[Raw], str]:
        self._check_project(parent, "parent")
        return page_of(self.all(), size, token, _PAGE)

    def _name(self, dashboard_id: str) -> str:
        return f"projects/{self._context.project_id}/dashboards/{dashboard_id}"

    def _own_name(self, name: str) -> str:
        """The name under which a dashboard is stored: with the project's id, also when its number was given."""
        self._check_project(name, "name")
        kind, _, dashboard_id = name.split("/", 2)[2].partition("/") if name.count("/") > 1 else ("", "", "")
        if kind != "dashboards" or not dashboard_id or "/" in dashboard_id:
            raise invalid_field("name", "It must be projects/<project id>/dashboards/<dashboard id>.", name)
        return self._name(dashboard_id)

    def _check_project(self, name: str, field: str) -> None:
        if not name:
            raise missing_field(field)
        require_project(name, self._context.project_id, self._context.project_number, field)


def _check(raw: Raw) -> None:
    """Refuse what the proto cannot hold; `display_name` is its only required field besides the name."""
    if not to_message(raw).display_name:
        raise missing_field("dashboard.displayName")


def _object(body: Any) -> Raw:
    if not isinstance(body, dict):
        raise invalid("Invalid JSON payload received. The request body must be a JSON object.")
    return body


def _validate_only(call: Call) -> bool:
    query = dict(call.query)
    return query.get("validateOnly", query.get("validate_only", "false")) == "true"
