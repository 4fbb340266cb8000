"""Each variable does what it says, and refuses what it cannot use with a message that says what to write."""

import json
import re
from typing import Any

import pytest

from support.terraform import INPUTS, MODULE, Workspace, planned_bodies

EFFECTS: dict[str, tuple[Any, str]] = {
    "disabled_policies": (["high_error_rate"], ""),
    "environment": ("staging", 'namespace="staging"'),
    "host": ("other-5678.europe-west1.run.app", '"host": "other-5678.europe-west1.run.app"'),
    "location": ("us-east1", 'resource.labels.location="us-east1"'),
    "metrics_domain": ("custom", 'custom_googleapis_com:cloudops_http_request_total{job="items"'),
    "metrics_namespace": ("shop", "workload_googleapis_com:shop_http_request_total"),
    "project": ("other-project", "projects/other-project"),
    "routes": ({"default": {"default": ["projects/p/notificationChannels/9"]}}, "projects/p/notificationChannels/9"),
    "runbook_base_url": ("https://docs.example.com", "https://docs.example.com/"),
    "service": ("orders", 'job="orders"'),
}
# What must be set beside a variable for it to matter.
BESIDE = {"metrics_namespace": {"metrics_domain": "workload"}}

REFUSED: list[tuple[str, Any, str]] = [
    ("disabled_policies", ["high_eror_rate"], "disabled_policies: write names of files in policies/"),
    ("environment", "Production", "environment: write lower-case letters"),
    ("environment", "", "environment: write lower-case letters"),
    ("environment", 'prod",job="other', "environment: write lower-case letters"),
    ("environment", None, "required variable may not be set to null"),
    ("host", "https://items.example.com", "host: write a host name without https://"),
    ("host", "items.example.com/health", "host: write a host name without https://"),
    ("host", "items.example.com:443", "host: write a host name without https://"),
    ("host", "localhost", "host: write a host name without https://"),
    ("host", None, "required variable may not be set to null"),
    ("location", "Europe", "location: write a region"),
    ("location", None, "required variable may not be set to null"),
    ("metrics_domain", "prometheus.googleapis.com", 'metrics_domain: write "prometheus", "custom" or "workload"'),
    ("metrics_namespace", "my-shop", "metrics_namespace: write letters, digits and underscores"),
    ("project", "123456789012", "project: write the project's id, neither its number"),
    ("project", "My Project", "project: write the project's id, neither its number"),
    ("project", None, "required variable may not be set to null"),
    ("routes", {"p5": {"default": []}}, "write p1, p2, p3, p4 or default"),
    ("routes", {"p1": {"default": ["on-call@example.com"]}}, "routes: write channels by their names"),
    ("runbook_base_url", "http://example.com", "runbook_base_url: write an https:// address"),
    ("runbook_base_url", "https://example.com/", "runbook_base_url: write an https:// address"),
    ("runbook_base_url", None, "required variable may not be set to null"),
    ("service", "Items", "service: write lower-case letters"),
    ("service", 'items",job="other', "service: write lower-case letters"),
    ("service", None, "required variable may not be set to null"),
]


def declared() -> list[str]:
    return re.findall(r'^variable "(\w+)"', (MODULE / "variables.tf").read_text(), re.MULTILINE)


def planned(workspace: Workspace, **variables: Any) -> str:
    """Everything that would be sent, as one text; PromQL without JSON's escapes."""
    return json.dumps(planned_bodies(workspace.plan(**variables)), sort_keys=True).replace('\\"', '"')


@pytest.mark.parametrize("name", declared())
def test_a_variable_that_changes_changes_the_plan(name: str, unchanged: Workspace) -> None:
    value, expected = EFFECTS[name]
    variables = {**INPUTS, **BESIDE.get(name, {})}
    before = planned(unchanged, **variables)
    after = planned(unchanged, **{**variables, name: value})
    assert after != before
    assert expected in after
    assert not expected or expected not in before


@pytest.mark.parametrize(("name", "value", "message"), REFUSED)
def test_a_value_that_cannot_be_used_is_refused_in_our_words(
    name: str, value: Any, message: str, unchanged: Workspace
) -> None:
    refusal = unchanged.refusal(**{**INPUTS, name: value})
    assert message in refusal


def test_every_variable_has_a_value_that_is_refused() -> None:
    assert {name for name, _, _ in REFUSED} == set(declared())


@pytest.mark.parametrize("name", ["disabled_policies", "metrics_domain", "metrics_namespace", "routes"])
def test_null_stands_for_the_default(name: str, unchanged: Workspace) -> None:
    without = {key: value for key, value in INPUTS.items() if key != name}
    assert planned(unchanged, **without, **{name: None}) == planned(unchanged, **without)


def test_without_routes_nobody_is_told(unchanged: Workspace) -> None:
    bodies = planned_bodies(unchanged.plan(**{name: value for name, value in INPUTS.items() if name != "routes"}))
    assert all("notificationChannels" not in body for body in bodies.values())


def test_a_misspelt_variable_is_refused(unchanged: Workspace) -> None:
    (unchanged.folder / "examples" / "misspelt").mkdir(exist_ok=True)
    (unchanged.folder / "examples" / "misspelt" / "main.tf").write_text(
        'module "monitoring" {\n  source  = "../.."\n  servise = "items"\n}\n'
    )
    workspace = Workspace(unchanged.folder / "examples" / "misspelt", unchanged.environment)
    workspace.ok("init", "-no-color", "-input=false")
    done = workspace.run("validate", "-no-color")
    assert 'An argument named "servise" is not expected here' in " ".join((done.stdout + done.stderr).split())


def test_variables_and_outputs_stand_in_alphabetical_order_and_describe_themselves() -> None:
    for file, block in (("variables.tf", "variable"), ("outputs.tf", "output")):
        text = (MODULE / file).read_text()
        names = re.findall(rf'^{block} "(\w+)"', text, re.MULTILINE)
        assert names == sorted(names)
        assert text.count("\n  description = ") == len(names)
        if block == "variable":
            assert text.count("nullable    = false") == text.count("  type        = ") == len(names)
