# a script that is run by hand, no part of a package
"""Write the table of API methods (`app/emulator/transport/methods.json`) from Google's published protos.

The protos.json files lie in the npm packages `@google-cloud/monitoring`, `@google-cloud/monitoring-dashboards` and
`@google-cloud/logging` (11.2.0 is the last version of the latter that carries them) under `build/protos/`:

    python backend/tools/write_methods.py path/to/protos.json... > backend/app/emulator/transport/methods.json

Services whose npm package carries no protos come from the REST transports of Google's Python clients, which have to be
installed: google-cloud-billing-budgets, -error-reporting, -pubsub, -resource-manager, -run, -service-usage and -trace.
What has neither stands in `_WRITTEN`: Resource Manager v1 is published as a discovery document only, IAM's client
speaks gRPC only, OTLP has an HTTP of its own.

Only facts are taken: names of services, methods and messages, streaming flags, and the google.api.http rules.
"""

import importlib
import json
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PACKAGES = ("google.monitoring.v3", "google.monitoring.dashboard.v1", "google.logging.v2")
_CLIENTS = (
    ("google.cloud.billing.budgets_v1", "google.cloud.billing.budgets.v1", ("BudgetService",)),
    (
        "google.cloud.errorreporting_v1beta1",
        "google.devtools.clouderrorreporting.v1beta1",
        ("ErrorGroupService", "ErrorStatsService", "ReportErrorsService"),
    ),
    ("google.cloud.resourcemanager_v3", "google.cloud.resourcemanager.v3", ("Projects",)),
    ("google.cloud.run_v2", "google.cloud.run.v2", ("Services",)),
    ("google.cloud.service_usage_v1", "google.api.serviceusage.v1", ("ServiceUsage",)),
    ("google.cloud.trace_v1", "google.devtools.cloudtrace.v1", ("TraceService",)),
    ("google.cloud.trace_v2", "google.devtools.cloudtrace.v2", ("TraceService",)),
    ("google.pubsub_v1", "google.pubsub.v1", ("Publisher", "Subscriber")),
)
# Mixed into many clients: they are services of their own.
_MIXED_IN = re.compile(r".*Operations?")
_MIXED_INTO_PUBSUB = ("GetIamPolicy", "SetIamPolicy", "TestIamPermissions")
_COLLECTOR = "opentelemetry.proto.collector"
_IAM, _POLICY = "google.iam.admin.v1", "google.iam.v1"
_ACCOUNT, _ROLE = "name=projects/*/serviceAccounts/*", "name=projects/*/roles/*"
_RESOURCE = "{resource=projects/*/serviceAccounts/*}"
# Method: request, response, verb, path, body.
_WRITTEN: dict[str, dict[str, tuple[str, str, str, str, str]]] = {
    # cloudresourcemanager.googleapis.com/$discovery/rest?version=v1
    "google.cloudresourcemanager.v1.Projects": {
        "GetProject": ("GetProjectRequest", "Project", "GET", "/v1/{name=projects/*}", ""),
        "GetIamPolicy": (
            f"{_POLICY}.GetIamPolicyRequest",
            f"{_POLICY}.Policy",
            "POST",
            "/v1/{resource=projects/*}:getIamPolicy",
            "*",
        ),
        "SetIamPolicy": (
            f"{_POLICY}.SetIamPolicyRequest",
            f"{_POLICY}.Policy",
            "POST",
            "/v1/{resource=projects/*}:setIamPolicy",
            "*",
        ),
        "TestIamPermissions": (
            f"{_POLICY}.TestIamPermissionsRequest",
            f"{_POLICY}.TestIamPermissionsResponse",
            "POST",
            "/v1/{resource=projects/*}:testIamPermissions",
            "*",
        ),
        "ListProjects": ("ListProjectsRequest", "ListProjectsResponse", "GET", "/v1/projects", ""),
        "CreateProject": ("Project", "google.longrunning.Operation", "POST", "/v1/projects", "*"),
        "UpdateProject": ("Project", "Project", "PUT", "/v1/{name=projects/*}", "*"),
        "DeleteProject": ("DeleteProjectRequest", "google.protobuf.Empty", "DELETE", "/v1/{name=projects/*}", ""),
    },
    # google/iam/admin/v1/iam.proto
    f"{_IAM}.IAM": {
        "ListServiceAccounts": (
            "ListServiceAccountsRequest",
            "ListServiceAccountsResponse",
            "GET",
            "/v1/{name=projects/*}/serviceAccounts",
            "",
        ),
        "GetServiceAccount": ("GetServiceAccountRequest", "ServiceAccount", "GET", f"/v1/{{{_ACCOUNT}}}", ""),
        "CreateServiceAccount": (
            "CreateServiceAccountRequest",
            "ServiceAccount",
            "POST",
            "/v1/{name=projects/*}/serviceAccounts",
            "*",
        ),
        "UpdateServiceAccount": ("ServiceAccount", "ServiceAccount", "PUT", f"/v1/{{{_ACCOUNT}}}", "*"),
        "PatchServiceAccount": (
            "PatchServiceAccountRequest",
            "ServiceAccount",
            "PATCH",
            f"/v1/{{service_account.{_ACCOUNT}}}",
            "*",
        ),
        "DeleteServiceAccount": (
            "DeleteServiceAccountRequest",
            "google.protobuf.Empty",
            "DELETE",
            f"/v1/{{{_ACCOUNT}}}",
            "",
        ),
        "UndeleteServiceAccount": (
            "UndeleteServiceAccountRequest",
            "UndeleteServiceAccountResponse",
            "POST",
            f"/v1/{{{_ACCOUNT}}}:undelete",
            "*",
        ),
        "EnableServiceAccount": (
            "EnableServiceAccountRequest",
            "google.protobuf.Empty",
            "POST",
            f"/v1/{{{_ACCOUNT}}}:enable",
            "*",
        ),
        "DisableServiceAccount": (
            "DisableServiceAccountRequest",
            "google.protobuf.Empty",
            "POST",
            f"/v1/{{{_ACCOUNT}}}:disable",
            "*",
        ),
        "ListServiceAccountKeys": (
            "ListServiceAccountKeysRequest",
            "ListServiceAccountKeysResponse",
            "GET",
            f"/v1/{{{_ACCOUNT}}}/keys",
            "",
        ),
        "CreateServiceAccountKey": (
            "CreateServiceAccountKeyRequest",
            "ServiceAccountKey",
            "POST",
            f"/v1/{{{_ACCOUNT}}}/keys",
            "*",
        ),
        "GetIamPolicy": (
            f"{_POLICY}.GetIamPolicyRequest",
            f"{_POLICY}.Policy",
            "POST",
            f"/v1/{_RESOURCE}:getIamPolicy",
            "",
        ),
        "SetIamPolicy": (
            f"{_POLICY}.SetIamPolicyRequest",
            f"{_POLICY}.Policy",
            "POST",
            f"/v1/{_RESOURCE}:setIamPolicy",
            "*",
        ),
        "TestIamPermissions": (
            f"{_POLICY}.TestIamPermissionsRequest",
            f"{_POLICY}.TestIamPermissionsResponse",
            "POST",
            f"/v1/{_RESOURCE}:testIamPermissions",
            "*",
        ),
        "ListRoles": ("ListRolesRequest", "ListRolesResponse", "GET", "/v1/{parent=projects/*}/roles", ""),
        "GetRole": ("GetRoleRequest", "Role", "GET", f"/v1/{{{_ROLE}}}", ""),
        "CreateRole": ("CreateRoleRequest", "Role", "POST", "/v1/{parent=projects/*}/roles", "*"),
        "UpdateRole": ("UpdateRoleRequest", "Role", "PATCH", f"/v1/{{{_ROLE}}}", "role"),
        "DeleteRole": ("DeleteRoleRequest", "Role", "DELETE", f"/v1/{{{_ROLE}}}", ""),
        "UndeleteRole": ("UndeleteRoleRequest", "Role", "POST", f"/v1/{{{_ROLE}}}:undelete", "*"),
    },
    # google/longrunning/operations.proto; its path is that of serviceusage_v1.yaml.
    "google.longrunning.Operations": {
        "GetOperation": ("GetOperationRequest", "Operation", "GET", "/v1/{name=operations/*}", ""),
    },
    # opentelemetry/proto/collector; its HTTP is not google.api.http: the emulator has routes of its own for it.
    f"{_COLLECTOR}.logs.v1.LogsService": {
        "Export": ("ExportLogsServiceRequest", "ExportLogsServiceResponse", "", "", ""),
    },
    f"{_COLLECTOR}.metrics.v1.MetricsService": {
        "Export": ("ExportMetricsServiceRequest", "ExportMetricsServiceResponse", "", "", ""),
    },
    f"{_COLLECTOR}.trace.v1.TraceService": {
        "Export": ("ExportTraceServiceRequest", "ExportTraceServiceResponse", "", "", ""),
    },
}
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_VERBS = ("get", "post", "put", "patch", "delete")


def services(node: dict[str, Any], package: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Package, name and methods of every service below a node of protos.json."""
    for name, child in node.get("nested", {}).items():
        if "methods" in child and package in _PACKAGES:
            yield package, name, child["methods"]
        yield from services(child, f"{package}.{name}".lstrip("."))


def rules(method: dict[str, Any]) -> list[list[str]]:
    """Verb, path template and body field of each http rule, the main one first."""
    found = []
    for option in method.get("parsedOptions", []):
        rule = option.get("(google.api.http)")
        if rule is None:
            continue
        more = rule.get("additional_bindings", [])
        for one in (rule, *(more if isinstance(more, list) else [more])):
            verb = next(verb for verb in _VERBS if verb in one)
            found.append([verb.upper(), one[verb], one.get("body", "")])
    return found


def full_name(package: str, name: str) -> str:
    return name if name.startswith("google.") else f"{package}.{name}"


def client_methods(client_package: str, service: str) -> dict[str, dict[str, Any]]:
    """The methods of a service, as the installed Python client's REST transport knows them."""
    folder = f"{client_package}.services.{_snake(service)}"
    transport = getattr(importlib.import_module(f"{folder}.transports.rest_base"), f"_Base{service}RestTransport")
    client = getattr(importlib.import_module(folder), f"{service}Client")
    types = importlib.import_module(f"{client_package}.types")
    table = {}
    for name in sorted(name.removeprefix("_Base") for name in vars(transport) if name.startswith("_Base")):
        if _MIXED_IN.fullmatch(name):
            continue
        hints = typing.get_type_hints(getattr(client, _snake(name)))
        options = getattr(transport, f"_Base{name}")
        http = options._get_http_options() if hasattr(options, "_get_http_options") else ()  # noqa: SLF001  # the rules stand nowhere else
        wanted = hints.get("request") or hints["requests"]
        streams = "requests" in hints
        table[name] = {
            "request": _message(next(one for one in _flat(wanted) if hasattr(one, "DESCRIPTOR") or hasattr(one, "pb"))),
            "response": _response(hints["return"], types, name),
            "streams": [streams, streams],
            "http": [[rule["method"].upper(), rule["uri"], rule.get("body", "")] for rule in http],
        }
    return table


def _flat(hint: Any) -> Iterator[Any]:
    """The types in a hint such as `GetProjectRequest | dict | None` or `Iterator[StreamingPullRequest]`."""
    parts = typing.get_args(hint)
    if not parts:
        yield hint
    for part in parts:
        yield from _flat(part)


def _response(hint: Any, types: Any, name: str) -> str:
    if hint is type(None):
        return "google.protobuf.Empty"
    for one in _flat(hint):
        if one.__name__ in {"Operation", "AsyncOperation"}:
            return "google.longrunning.Operation"
        if hasattr(one, "DESCRIPTOR") or hasattr(one, "pb"):
            return _message(one)
    # Lists return a pager in place of their response.
    return _message(getattr(types, f"{name}Response"))


def _message(kind: Any) -> str:
    described = kind if hasattr(kind, "DESCRIPTOR") else kind.pb()
    return str(described.DESCRIPTOR.full_name)


def written_methods(service: str) -> dict[str, dict[str, Any]]:
    package = service.rpartition(".")[0]
    return {
        name: {
            "request": full_name(package, request),
            "response": full_name(package, response),
            "streams": [False, False],
            "http": [[verb, path, body]] if verb else [],
        }
        for name, (request, response, verb, path, body) in _WRITTEN[service].items()
    }


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()


def main(paths: list[str]) -> None:
    table: dict[str, dict[str, Any]] = {
        f"{package}.{service}": client_methods(client, service)
        for client, package, known in _CLIENTS
        for service in known
    } | {service: written_methods(service) for service in _WRITTEN}
    policies = table["google.iam.v1.IAMPolicy"] = {}
    for name in _MIXED_INTO_PUBSUB:
        policies[name] = table["google.pubsub.v1.Subscriber"].pop(name)
        table["google.pubsub.v1.Publisher"].pop(name)
    for path in paths:
        for package, service, methods in services(json.loads(Path(path).read_text())):
            table[f"{package}.{service}"] = {
                name: {
                    "request": full_name(package, method["requestType"]),
                    "response": full_name(package, method["responseType"]),
                    "streams": [bool(method.get("requestStream")), bool(method.get("responseStream"))],
                    "http": rules(method),
                }
                for name, method in methods.items()
            }
    json.dump(dict(sorted(table.items())), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
