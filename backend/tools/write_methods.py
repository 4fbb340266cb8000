# a script that is run by hand, no part of a package
"""Write the table of API methods (`app/emulator/transport/methods.json`) from Google's published protos.

The protos.json files lie in the npm packages `@google-cloud/monitoring`, `@google-cloud/monitoring-dashboards` and
`@google-cloud/logging` (11.2.0 is the last version of the latter that carries them) under `build/protos/`:

    python backend/tools/write_methods.py path/to/protos.json... > backend/app/emulator/transport/methods.json

Error Reporting's package carries no protos: its table comes from the REST transports of Google's Python client, which
has to be installed.

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
_CLIENT = "google.cloud.errorreporting_v1beta1"
_CLIENT_PACKAGE = "google.devtools.clouderrorreporting.v1beta1"
_CLIENT_SERVICES = ("ErrorGroupService", "ErrorStatsService", "ReportErrorsService")
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


def client_methods(service: str) -> dict[str, dict[str, Any]]:
    """The methods of a service, as the installed Python client's REST transport knows them."""
    folder = f"{_CLIENT}.services.{_snake(service)}"
    transport = getattr(importlib.import_module(f"{folder}.transports.rest_base"), f"_Base{service}RestTransport")
    client = getattr(importlib.import_module(folder), f"{service}Client")
    types = importlib.import_module(f"{_CLIENT}.types")
    table = {}
    for name in sorted(name.removeprefix("_Base") for name in vars(transport) if name.startswith("_Base")):
        answer = typing.get_type_hints(getattr(client, _snake(name)))["return"]
        # Lists return a pager in place of their response.
        response = answer.__name__ if hasattr(types, answer.__name__) else f"{name}Response"
        options = getattr(transport, f"_Base{name}")._get_http_options()  # noqa: SLF001  # the rules stand nowhere else
        table[name] = {
            "request": f"{_CLIENT_PACKAGE}.{name}Request",
            "response": f"{_CLIENT_PACKAGE}.{response}",
            "streams": [False, False],
            "http": [[rule["method"].upper(), rule["uri"], rule.get("body", "")] for rule in options],
        }
    return table


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()


def main(paths: list[str]) -> None:
    table: dict[str, dict[str, Any]] = {
        f"{_CLIENT_PACKAGE}.{service}": client_methods(service) for service in _CLIENT_SERVICES
    }
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
