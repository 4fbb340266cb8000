"""google.monitoring.v3.ServiceMonitoringService, and the time series of its SLOs."""

import secrets

from google.protobuf import empty_pb2

from ..alerting.listing import select
from ..alerting.resources import Resources, masked
from ..names import require_project
from ..paging import page_of
from ..project import Context
from ..status import already_exists, invalid_field, missing_field, not_found
from .basic import explicit
from .messages import (
    ListServiceLevelObjectivesResponse,
    ListServicesResponse,
    Raw,
    Service,
    ServiceLevelObjective,
    View,
)
from .metrics import SeriesStore
from .performance import Objective, SloSeries, series_of
from .rules import check_id, check_service, check_slo, identifier_of
from .selectors import is_selector, parse_selector

_LARGEST_PAGE = 1000


class ServiceMonitoringService:
    """Services, their SLOs, and what the selectors `select_slo_*` read."""

    def __init__(self, context: Context, store: SeriesStore) -> None:
        self._context = context
        self._store = store
        self._services = Resources(context, "services", "services.service", Service)
        self._slos = Resources(context, "services/*/serviceLevelObjectives", "services.slo", ServiceLevelObjective)

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a journalled record whose kind begins with `services.`."""
        if not any(part.restore(kind, record) for part in (self._services, self._slos)):
            raise ValueError(f"no part of services knows records of kind {kind}")

    def create_service(self, request: Raw) -> Raw:
        self._check_parent(request.parent)
        service = Service()
        service.CopyFrom(request.service)
        check_service(service)
        if request.service_id:
            check_id(request.service_id, "service_id")
        name = self._services.name_of(request.service_id or secrets.token_urlsafe(16).lower().replace("_", "-"))
        if self._services.has(name):
            raise already_exists(f"Service {name} already exists.")
        service.name = name
        self._services.put(service)
        return service

    def get_service(self, request: Raw) -> Raw:
        return self._services.get(request.name)

    def list_services(self, request: Raw) -> Raw:
        self._check_parent(request.parent)
        found = select(self._services.all(), request.filter, virtual={"identifier_case": _identifier_case})
        items, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListServicesResponse(services=items, next_page_token=token)

    def update_service(self, request: Raw) -> Raw:
        existing = self._services.get(request.service.name)
        updated = masked(existing, request.service, request.update_mask.paths)
        updated.name = existing.name
        check_service(updated)
        self._services.put(updated)
        return updated

    def delete_service(self, request: Raw) -> Raw:
        """Soft-deletes, as the API says; the emulator forgets it and its SLOs at once."""
        service = self._services.get(request.name)
        for slo in self._of(service.name):
            self._slos.remove(slo.name)
        self._services.remove(service.name)
        return empty_pb2.Empty()

    def create_service_level_objective(self, request: Raw) -> Raw:
        service = self._services.get(request.parent)
        slo = ServiceLevelObjective()
        slo.CopyFrom(request.service_level_objective)
        if request.service_level_objective_id:
            check_id(request.service_level_objective_id, "service_level_objective_id", slo=True)
        check_slo(slo, service, self._store)
        identifier = request.service_level_objective_id or secrets.token_urlsafe(16)
        slo.name = f"{service.name}/serviceLevelObjectives/{identifier}"
        if self._slos.has(slo.name):
            raise already_exists(f"Service level objective {slo.name} already exists.")
        self._slos.put(slo)
        return slo

    def get_service_level_objective(self, request: Raw) -> Raw:
        return self._viewed(self._slos.get(request.name), request.view)

    def list_service_level_objectives(self, request: Raw) -> Raw:
        if request.parent.endswith("/services/-"):
            # "projects/[PROJECT_ID_OR_NUMBER]/services/-" lists those of all services (service_service.proto).
            self._check_parent(request.parent.removesuffix("/services/-"))
            of_parent = self._slos.all()
        else:
            of_parent = self._of(self._services.get(request.parent).name)
        found = select(of_parent, request.filter)
        items, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        shown = [self._viewed(one, request.view) for one in items]
        return ListServiceLevelObjectivesResponse(service_level_objectives=shown, next_page_token=token)

    def update_service_level_objective(self, request: Raw) -> Raw:
        existing = self._slos.get(request.service_level_objective.name)
        updated = masked(existing, request.service_level_objective, request.update_mask.paths)
        updated.name = existing.name
        check_slo(updated, self._service_of(existing), self._store)
        self._slos.put(updated)
        return updated

    def delete_service_level_objective(self, request: Raw) -> Raw:
        self._slos.remove(self._slos.get(request.name).name)
        return empty_pb2.Empty()

    def computed(self, filter_: str) -> list[SloSeries] | None:
        """The time series that a filter selects which is a selector; None for every other filter.

        Raises:
            ApiError: INVALID_ARGUMENT for a selector that cannot be read, NOT_FOUND for an SLO that does not exist.
        """
        if not is_selector(filter_):
            return None
        selector = parse_selector(filter_)
        slo = self._slos.get(selector.slo)
        objective = Objective(slo, self._service_of(slo))
        return series_of(selector, objective, self._store, self._context.project_id)

    def services(self) -> list[Raw]:
        return self._services.all()

    def objectives(self) -> list[Raw]:
        return self._slos.all()

    def _service_of(self, slo: Raw) -> Raw:
        return self._services.get(slo.name.partition("/serviceLevelObjectives/")[0])

    def _of(self, service: str) -> list[Raw]:
        return [one for one in self._slos.all() if one.name.startswith(f"{service}/")]

    def _viewed(self, slo: Raw, view: int) -> Raw:
        """With EXPLICIT a basic SLI is told as the request-based one that it stands for."""
        if view != View.EXPLICIT or not slo.service_level_indicator.HasField("basic_sli"):
            return slo
        shown = ServiceLevelObjective()
        shown.CopyFrom(slo)
        shown.service_level_indicator.request_based.CopyFrom(
            explicit(slo.service_level_indicator.basic_sli, self._service_of(slo))
        )
        return shown

    def _check_parent(self, parent: str) -> None:
        if not parent:
            raise missing_field("parent")
        if parent.startswith("workspaces/"):
            raise not_found(f"Workspace {parent} is not emulated here; use projects/{self._context.project_id}.")
        require_project(parent, self._context.project_id, self._context.project_number, "parent")
        if parent.count("/") != 1:
            raise invalid_field("parent", "must have the form projects/<project>.", parent)


def _identifier_case(service: Raw) -> str:
    """Which identifier a service has: CUSTOM, CLOUD_RUN (service_service.proto, ListServicesRequest.filter)."""
    return identifier_of(service).upper()
