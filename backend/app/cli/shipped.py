"""The policies, dashboards and checks that come with the library, loaded for one service."""

from collections import Counter

#: What the shipped uptime check asks for; a laptop has no other host.
HOST = "localhost"
# What one of each kind is called, and several.
_NAMES = {
    "policy": ("policy", "policies"),
    "dashboard": ("dashboard", "dashboards"),
    "uptime_check": ("uptime check", "uptime checks"),
    "slo": ("objective", "objectives"),
    "log_metric": ("log-based metric", "log-based metrics"),
}


def check_names(service: str, environment: str) -> None:
    """Whether they are names that policies can be made for.

    Raises:
        ValueError: One is not.
    """
    from ..emulator.definitions.catalogue import check_name  # noqa: PLC0415  # it loads Google's message classes

    check_name("--service", service)
    check_name("--environment", environment)


def apply_shipped(service: str, environment: str, http: str, project: str, token: str = "") -> str:
    """Apply the default set to an emulator; answers what was applied, for people.

    Raises:
        DefinitionError: It was not taken; the message says why.
        httpx.HTTPError: The emulator does not answer.
    """
    import httpx  # noqa: PLC0415  # for verbs that need it

    from ..emulator import definitions  # noqa: PLC0415  # Google's message classes, as httpx

    values = {
        "service": service,
        "environment": environment,
        "host": HOST,
        "project": project,
        "runbook_base_url": f"{http}/runbooks",
        "policies": "default",
    }
    found = definitions.load(definitions.data_root(), values)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(timeout=60, trust_env=False, headers=headers) as client:
        applied = definitions.apply(found, http, project, channels={}, client=client)
    counts = Counter[str](one.kind for one in applied)
    return ", ".join(f"{counts[kind]} {names[counts[kind] > 1]}" for kind, names in _NAMES.items() if counts[kind])
