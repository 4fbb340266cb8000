"""`cloudops doctor`: what is missing between a service and what arrives of it.

Its options are read with argparse: it works without the packages of the emulator, which bring typer.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from ..doctor import Check, Subject, examine
from ..doctor.api import Api, UnreachableError, open_port

_FINDINGS, _UNUSABLE = 1, 2
_DEFAULT_HTTP = "http://127.0.0.1:8086"
_SIGNALS = ("logs", "metrics", "traces")
HELP = """Look for what is missing between a service and what arrives of it, in the emulator or in a real project.

Credentials, project, APIs, permissions, clock, endpoints, whether logs, metrics and traces of the service arrived
lately, whether its policies, dashboards and uptime checks exist; each finding with the command that mends it.

Exit code 0: nothing to mend. 1: findings. 2: called wrongly, or nobody answers."""
EXAMPLES = """Examples:
  cloudops doctor --service items --environment dev
  cloudops doctor --google --project my-project --service items --environment production --json
"""


def parser() -> argparse.ArgumentParser:
    """The options, with their defaults from the settings of the service."""
    found = argparse.ArgumentParser(
        prog="cloudops doctor", description=HELP, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    environ = os.environ
    service = environ.get("SERVICE_NAME") or environ.get("K_SERVICE") or "app"
    found.add_argument("--service", default=service, help="name of the service (SERVICE_NAME; now: %(default)s)")
    found.add_argument(
        "--environment",
        default=environ.get("ENVIRONMENT") or "development",
        help="environment of the service (ENVIRONMENT; now: %(default)s)",
    )
    found.add_argument(
        "--project", default=environ.get("GOOGLE_CLOUD_PROJECT", ""), help="id of the project (GOOGLE_CLOUD_PROJECT)"
    )
    found.add_argument(
        "--google", action="store_true", help="the real project, as application default credentials, not the emulator"
    )
    found.add_argument(
        "--lately", default="15m", metavar="TIME", type=_minutes, help="how old what arrived may be, such as 5m or 2h"
    )
    found.add_argument(
        "--without",
        action="append",
        default=[],
        choices=_SIGNALS,
        help="what the service does not send; may be repeated",
    )
    found.add_argument("--json", action="store_true", help="tell everything as JSON")
    return found


def main(arguments: Sequence[str]) -> NoReturn:
    """Run and end the process."""
    given = parser().parse_args(arguments)
    before: list[Check] = []
    token: Callable[[], str] = str
    project = given.project
    if given.google:
        from ..doctor.credentials import identify  # noqa: PLC0415  # google-auth, only for real projects

        who = identify()
        before.append(who.check)
        if who.token is None:
            _tell(before, given, project)
            raise SystemExit(_FINDINGS)
        token, project = who.token, project or who.project
        if not project:
            _fail("the credentials name no project: --project, or GOOGLE_CLOUD_PROJECT")
    else:
        secret = os.environ.get("CLOUDOPS_TOKEN", "")
        token = lambda: secret  # noqa: E731  # a function of one word
        project = project or "demo"
    api = Api("" if given.google else _address(), token)
    subject = Subject(
        project,
        given.service,
        given.environment,
        given.google,
        given.lately,
        os.environ.get("METRICS_DOMAIN") or "prometheus",
        os.environ.get("METRICS_NAMESPACE") or "cloudops",
        frozenset(set(_SIGNALS) - set(given.without)),
    )
    try:
        checks = [*before, *([] if given.google else [_grpc()]), *examine(subject, api)]
    except UnreachableError as error:
        mend = "check the network and its proxy" if given.google else "start an emulator with: cloudops up"
        _fail(f"{error}; {mend}")
    _tell(checks, given, project)
    raise SystemExit(_FINDINGS if any(check.status == "finding" for check in checks) else 0)


def _address() -> str:
    address = (os.environ.get("CLOUDOPS_EMULATOR_HTTP") or _DEFAULT_HTTP).rstrip("/")
    return address if "://" in address else f"http://{address}"


def _grpc() -> Check:
    """Where services send to; they find nothing else of the emulator."""
    address = os.environ.get("CLOUDOPS_EMULATOR_HOST", "")
    if not address:
        return Check(
            "emulator", "note", "CLOUDOPS_EMULATOR_HOST is not set here; services need it, `cloudops run` sets it"
        )
    try:
        open_port(address)
    except UnreachableError as error:
        return Check("emulator", "finding", f"CLOUDOPS_EMULATOR_HOST: {error}", "cloudops up")
    return Check("emulator", "ok", f"{address} takes connections")


def _tell(checks: Sequence[Check], given: argparse.Namespace, project: str) -> None:
    if given.json:
        told = {
            "project": project,
            "service": given.service,
            "environment": given.environment,
            "google": given.google,
            "findings": sum(check.status == "finding" for check in checks),
            "checks": [vars(check) for check in checks],
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    for check in checks:
        sys.stdout.write(f"{check.status:<8} {check.name:<13} {check.message}\n")
        if check.mend:
            sys.stdout.write(f"{'mend':>8} {'':<13} {check.mend}\n")
    findings = sum(check.status == "finding" for check in checks)
    unknown = sum(check.status == "unknown" for check in checks)
    looked = f"{findings} {'finding' if findings == 1 else 'findings'}"
    sys.stdout.write(f"{looked}{f', {unknown} could not be looked at' if unknown else ''}\n")


def _minutes(text: str) -> float:
    units = {"s": 1 / 60, "m": 1.0, "h": 60.0, "d": 1440.0}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    try:
        minutes = float(number) * units[unit]
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no length of time: write 5m, 2h or 1d")
    return minutes


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"cloudops: {message}\n")
    raise SystemExit(_UNUSABLE)
