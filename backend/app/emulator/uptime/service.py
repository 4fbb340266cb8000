"""google.monitoring.v3.UptimeCheckService: the configurations; prober.py makes the checks."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from google.protobuf import empty_pb2, json_format

from ..alerting.listing import select
from ..alerting.resources import Resources, masked
from ..names import new_id, require_project
from ..paging import page_of
from ..project import Context
from ..status import ApiError, Code, invalid_field, missing_field
from ..transport.binding import bind_query, parse_into
from .checkers import ips
from .messages import (
    CreateUptimeCheckConfigRequest,
    ListUptimeCheckConfigsRequest,
    ListUptimeCheckConfigsResponse,
    Raw,
    UpdateUptimeCheckConfigRequest,
    UptimeCheckConfig,
)
from .rules import check_uptime, fill_defaults, shown

_LARGEST_PAGE = 1000
_LOGGED = "uptime.logged"
# In the REST reference and in Terraform's provider, but not in the proto that Google's Python client has.
_LOG_FIELD = "logCheckFailures"


class Call(Protocol):
    """A REST call, as transport/rest.py hands it over."""

    @property
    def variables(self) -> dict[str, str]: ...
    @property
    def query(self) -> Sequence[tuple[str, str]]: ...
    @property
    def body(self) -> Any: ...


class UptimeCheckService:
    def __init__(self, context: Context, policies: Callable[[], list[Raw]] = list) -> None:
        """`policies` answers all alert policies: a check that one of them names cannot be deleted."""
        self._context = context
        self._checks = Resources(context, "uptimeCheckConfigs", "uptime.check", UptimeCheckConfig)
        self._logged: set[str] = set()
        self.policies = policies

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a journalled record whose kind begins with `uptime.`."""
        if kind == _LOGGED:
            self._logged = set(json.loads(record))
        elif not self._checks.restore(kind, record):
            raise ValueError(f"no part of uptime knows records of kind {kind}")

    def checks(self) -> list[Raw]:
        """A snapshot with its secrets; its messages are never changed in place."""
        return self._checks.all()

    def logs_failures(self, name: str) -> bool:
        return name in self._logged

    def create_uptime_check_config(self, request: Raw) -> Raw:
        self._check_parent(request.parent)
        config = UptimeCheckConfig()
        config.CopyFrom(request.uptime_check_config)
        if config.name:
            raise invalid_field("uptime_check_config.name", "must not be set on create.", config.name)
        check_uptime(config)
        fill_defaults(config, self._context.project_id)
        config.name = self._checks.name_of(_slug(config.display_name) + "-" + new_id()[:11])
        self._checks.put(config)
        return shown(config)

    def get_uptime_check_config(self, request: Raw) -> Raw:
        return shown(self._checks.get(request.name))

    def list_uptime_check_configs(self, request: Raw) -> Raw:
        self._check_parent(request.parent)
        found = select([shown(config) for config in self._checks.all()], request.filter)
        items, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListUptimeCheckConfigsResponse(uptime_check_configs=items, next_page_token=token, total_size=len(found))

    def update_uptime_check_config(self, request: Raw) -> Raw:
        existing = self._checks.get(request.uptime_check_config.name)
        updated = masked(existing, request.uptime_check_config, request.update_mask.paths)
        _keep_secrets(updated, existing)
        check_uptime(updated)
        fill_defaults(updated, self._context.project_id)
        updated.name = existing.name
        self._checks.put(updated)
        return shown(updated)

    def delete_uptime_check_config(self, request: Raw) -> Raw:
        config = self._checks.get(request.name)
        identifier = config.name.rpartition("/")[2]
        users = [policy.name for policy in self.policies() if identifier in str(policy.conditions)]
        if users:
            # The Terraform provider turns this 400 into "ensure all associated Alert Policies are deleted".
            raise ApiError(
                Code.INVALID_ARGUMENT,
                f"Cannot delete check {identifier}. One or more alerting policies is using it: {', '.join(users)}.",
            )
        self._checks.remove(config.name)
        self._set_logged(config.name, wanted=False)
        return empty_pb2.Empty()

    def list_uptime_check_ips(self, request: Raw) -> Raw:
        del request
        return ips()

    def create_uptime_check_config_json(self, call: Call) -> dict[str, Any]:
        body, logged = _without_log_field(call.body)
        request = CreateUptimeCheckConfigRequest(parent=call.variables["parent"])
        parse_into(request.uptime_check_config, body)
        bind_query(request, call.query)
        created = self.create_uptime_check_config(request)
        self._set_logged(created.name, wanted=bool(logged))
        return self._as_json(created)

    def update_uptime_check_config_json(self, call: Call) -> dict[str, Any]:
        body, logged = _without_log_field(call.body)
        query = [(key, _without_log_path(text) if key == "updateMask" else text) for key, text in call.query]
        request = UpdateUptimeCheckConfigRequest()
        parse_into(request.uptime_check_config, body)
        bind_query(request, [(key, text) for key, text in query if text or key != "updateMask"])
        request.uptime_check_config.name = call.variables["uptime_check_config.name"]
        paths = [text.split(",") for key, text in call.query if key in {"updateMask", "update_mask"}]
        if any(paths) and not request.update_mask.paths:
            updated = self.get_uptime_check_config(request.uptime_check_config)
        else:
            updated = self.update_uptime_check_config(request)
        if not paths or any(_LOG_FIELD in part or "log_check_failures" in part for part in paths):
            self._set_logged(updated.name, wanted=bool(logged))
        return self._as_json(updated)

    def get_uptime_check_config_json(self, call: Call) -> dict[str, Any]:
        return self._as_json(shown(self._checks.get(call.variables["name"])))

    def list_uptime_check_configs_json(self, call: Call) -> dict[str, Any]:
        request = ListUptimeCheckConfigsRequest(parent=call.variables["parent"])
        bind_query(request, call.query)
        listed = self.list_uptime_check_configs(request)
        answer: dict[str, Any] = json_format.MessageToDict(listed)
        if listed.uptime_check_configs:
            answer["uptimeCheckConfigs"] = [self._as_json(one) for one in listed.uptime_check_configs]
        return answer

    def _as_json(self, config: Raw) -> dict[str, Any]:
        answer: dict[str, Any] = json_format.MessageToDict(config)
        return answer | ({_LOG_FIELD: True} if config.name in self._logged else {})

    def _set_logged(self, name: str, *, wanted: bool) -> None:
        changed = self._logged | {name} if wanted else self._logged - {name}
        if changed != self._logged:
            self._context.journal.append(_LOGGED, json.dumps(sorted(changed)).encode())
            self._logged = changed

    def _check_parent(self, parent: str) -> None:
        if not parent:
            raise missing_field("parent")
        require_project(parent, self._context.project_id, self._context.project_number, "parent")


def _without_log_field(body: Any) -> tuple[Any, Any]:
    if not isinstance(body, dict):
        return body, None
    logged = body.get(_LOG_FIELD, body.get("log_check_failures"))
    if not isinstance(logged, bool | None):
        raise invalid_field(f"uptime_check_config.{_LOG_FIELD}", "must be true or false.", logged)
    return {key: value for key, value in body.items() if key not in {_LOG_FIELD, "log_check_failures"}}, logged


def _without_log_path(mask: str) -> str:
    return ",".join(part for part in mask.split(",") if part not in {_LOG_FIELD, "log_check_failures"})


def _keep_secrets(updated: Raw, existing: Raw) -> None:
    """A client that writes back what it read must not replace secrets by stars."""
    if not (updated.HasField("http_check") and existing.HasField("http_check")):
        return
    stars = shown(existing).http_check
    for key, text in stars.headers.items():
        if updated.http_check.headers.get(key) == text:
            updated.http_check.headers[key] = existing.http_check.headers[key]
    if updated.http_check.auth_info.password and updated.http_check.auth_info.password == stars.auth_info.password:
        updated.http_check.auth_info.password = existing.http_check.auth_info.password


def _slug(text: str) -> str:
    """Uptime check ids begin with the display name, as the console shows them."""
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in text.lower()).split()) or "check"
