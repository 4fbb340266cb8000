"""Each variable does what it says, and refuses what it cannot use with a message that says what to write."""

import json
import re
from typing import Any

import pytest

from support.terraform import INPUTS, MODULE, Workspace, planned_bodies

OWN_POLICY = """
displayName: Own policy
combiner: OR
conditions:
  - displayName: c
    conditionPrometheusQueryLanguage:
      query: "${metrics.http_request_total} > 1"
      disableMetricValidation: true
userLabels:
  priority: p1
  team: web
"""
OWN_CATALOGUE = '{"metrics": {"own_total": {"kind": "counter"}}}'
TOPIC = {"tickets": {"pubsub": "projects/my-project/topics/tickets"}}
# Per variable: a value, and what is then sent that was not sent before (empty where something goes).
EFFECTS: dict[str, tuple[Any, str]] = {
    "catalogues": (["own.json"], "own_total > 1"),
    "channels": ({"mail": {"email": "on-call@example.com"}}, '"email_address": "on-call@example.com"'),
    "dashboards": ([], ""),
    "directories": (["own"], '"Own policy"'),
    "environment": ("staging", 'namespace="staging"'),
    "host": ("other-5678.europe-west1.run.app", '"host": "other-5678.europe-west1.run.app"'),
    "iam": ({"service_account": "items@my-project.iam.gserviceaccount.com"}, "roles/monitoring.metricWriter"),
    "location": ("us-east1", '"us-east1"'),
    "log_metrics": ([], ""),
    "logs": ({"bucket": {"retention_days": 77}}, '"retentionDays": 77'),
    "metrics_domain": ("custom", 'custom_googleapis_com:cloudops_http_request_total{job="items"'),
    "metrics_namespace": ("shop", "workload_googleapis_com:shop_http_request_total"),
    "platform": ("gke", 'monitored_resource="https_lb_rule"'),
    "policies": (["default", "queue_age"], "queue_age.md"),
    "project": ("other-project", "projects/other-project"),
    "project_number": ("987654", "service-987654@gcp-sa-monitoring-notification.iam.gserviceaccount.com"),
    "regions": (["europe-west1", "us-central1"], "by (location)"),
    "resources": ({"run_service": "items-api"}, 'service_name="items-api"'),
    "routes": ({"default": {"default": ["projects/p/notificationChannels/9"]}}, "projects/p/notificationChannels/9"),
    "runbook_base_url": ("https://docs.example.com", "https://docs.example.com/"),
    "saved_queries": (["-all", "warnings"], ""),
    "service": ("orders", 'job="orders"'),
    "slo_service": ("projects/my-project/services/there-already", ""),
    "slos": ([], ""),
    "thresholds": ({"authentication_failures": {"failures": 4321}}, "> 4321"),
    "uptime_checks": ({"access": "private", "period": "300s"}, '"period": "300s"'),
}
# What must be set beside a variable for it to matter.
BESIDE: dict[str, dict[str, Any]] = {
    "catalogues": {"directories": ["own"]},
    "location": {"project_number": "123", "uptime_checks": {"access": "private"}},
    "metrics_namespace": {"metrics_domain": "workload"},
    "platform": {"dashboards": []},
    "project_number": {"channels": TOPIC},
    "regions": {"dashboards": []},
    "uptime_checks": {"project_number": "123"},
}
# Inside an object each attribute must do something too.
PARTS: list[tuple[str, Any, str]] = [
    ("channels", {"chat": {"google_chat": "spaces/AAAA"}}, '"space": "spaces/AAAA"'),
    ("channels", {"phone": {"sms": "+491701234567"}}, '"number": "+491701234567"'),
    ("iam", {"features": ["errors"], "service_account": "a@b"}, "roles/errorreporting.writer"),
    ("logs", {"archive": {"destination": "storage.googleapis.com/kept"}}, "storage.googleapis.com/kept"),
    ("logs", {"bucket": {"id": "projects/my-project/locations/eu/buckets/theirs"}}, "locations/eu/buckets/theirs"),
    ("logs", {"bucket": {"analytics": True}}, '"analyticsEnabled": true'),
    ("logs", {"bucket": {"location": "europe-west1"}}, "locations/europe-west1/buckets/items-production"),
    (
        "logs",
        {"bucket": {"kms_key": "projects/p/locations/global/keyRings/r/cryptoKeys/k"}},
        '"kmsKeyName": "projects/p/locations/global/keyRings/r/cryptoKeys/k"',
    ),
    ("logs", {"debug_kept": 0.25}, "sample(insertId, 0.75)"),
    ("logs", {"debug_kept": 0.5, "filter": 'labels.app="items"'}, 'labels.app="items" severity<=DEBUG'),
    ("logs", {"requests_below_400": False}, 'log_id("run.googleapis.com/requests") httpRequest.status<400'),
    ("resources", {"database": "p:db"}, 'database_id="p:db"'),
    ("uptime_checks", {"access": "private"}, '"type": "OIDC_TOKEN"'),
    ("uptime_checks", {"regions": ["EUROPE", "USA_IOWA", "USA_OREGON"]}, '"USA_OREGON"'),
]
ON_GKE: list[tuple[dict[str, str], str]] = [
    ({"backend": "k8s1-.*"}, 'backend_target_name=~"k8s1-.*"'),
    ({"container": "web"}, 'container_name="web"'),
    ({"kubernetes_namespace": "shop"}, 'namespace_name="shop"'),
]

REFUSED: list[tuple[str, Any, str]] = [
    ("catalogues", ["nothing.json"], "catalogues: write paths of JSON files"),
    ("channels", {"mail": {}}, "channels: write exactly one of email, google_chat, pubsub or sms"),
    ("channels", {"mail": {"email": "a@b", "sms": "+491701234567"}}, "channels: write exactly one of"),
    ("channels", {"mail": {"email": "nobody"}}, "channels: write email as name@example.com"),
    ("channels", {"On call": {"email": "a@b"}}, "channels: write keys of lower-case letters"),
    ("dashboards", ["overwiev"], 'dashboards: write "all", or names of files in dashboards/'),
    ("directories", ["nowhere"], "directories: write folders that hold policies/"),
    ("environment", "Production", "environment: write lower-case letters"),
    ("environment", "", "environment: write lower-case letters"),
    ("environment", 'prod",job="other', "environment: write lower-case letters"),
    ("environment", None, "required variable may not be set to null"),
    ("host", "https://items.example.com", "host: write a host name without https://"),
    ("host", "items.example.com/health", "host: write a host name without https://"),
    ("host", "items.example.com:443", "host: write a host name without https://"),
    ("host", "localhost", "host: write a host name without https://"),
    ("host", None, "required variable may not be set to null"),
    ("iam", {"features": ["everything"]}, "iam: write features as a set of"),
    ("iam", {"service_account": "serviceAccount:a@b"}, "iam: write service_account as an e-mail address"),
    ("location", "Europe", "location: write a region"),
    ("location", None, "required variable may not be set to null"),
    ("log_metrics", ["memory"], 'log_metrics: write "all", or names of files in log_metrics/'),
    ("logs", {"bucket": {"retention_days": 0}}, "logs: write bucket.retention_days as a whole number"),
    ("logs", {"bucket": {"retention_days": 1.5}}, "logs: write bucket.retention_days as a whole number"),
    ("logs", {"bucket": {"id": "theirs"}}, "logs: write bucket.id as projects/PROJECT"),
    ("logs", {"bucket": {"kms_key": "key"}}, "logs: write bucket.kms_key as projects/PROJECT"),
    ("logs", {"archive": {"destination": "gs://kept"}}, "logs: write archive.destination as storage.googleapis.com"),
    ("logs", {"debug_kept": 10}, "logs: write debug_kept as a share from 0"),
    ("logs", {"filter": " "}, "logs: write filter in Cloud Logging's query language"),
    ("metrics_domain", "prometheus.googleapis.com", 'metrics_domain: write "prometheus", "custom" or "workload"'),
    ("metrics_namespace", "my-shop", "metrics_namespace: write letters, digits and underscores"),
    ("platform", "cloud-run", 'platform: write "cloud_run" or "gke"'),
    ("policies", ["high_eror_rate"], 'policies: write "default", "all", or names of files in policies/'),
    ("policies", ["default", "-queue_aeg"], "there is no -queue_aeg."),
    ("dashboards", ["overview", "slo"], "there is no overview."),
    ("project", "123456789012", "project: write the project's id, neither its number"),
    ("project", "My Project", "project: write the project's id, neither its number"),
    ("project", None, "required variable may not be set to null"),
    ("project_number", "my-project", "project_number: write the project's number"),
    ("regions", ["Europe"], "regions: write regions, such as"),
    ("regions", ["us-central1", "us-east1"], "regions: write all regions, the one of `location` among them"),
    ("resources", {"container": 'a"b'}, "resources: write names without spaces, quotes and backslashes"),
    ("resources", {"database": "db"}, "resources: write database as PROJECT:INSTANCE"),
    ("routes", {"p5": {"default": []}}, "write p1, p2, p3, p4 or default"),
    ("routes", {"p1": {"default": ["on-call@example.com"]}}, "routes: write channels by their names"),
    ("runbook_base_url", "http://example.com", "runbook_base_url: write an https:// address"),
    ("runbook_base_url", "https://example.com/", "runbook_base_url: write an https:// address"),
    ("runbook_base_url", None, "required variable may not be set to null"),
    ("saved_queries", ["scaners"], 'saved_queries: write "all", or names of files in saved_queries/'),
    ("service", "Items", "service: write lower-case letters"),
    ("service", 'items",job="other', "service: write lower-case letters"),
    ("service", None, "required variable may not be set to null"),
    ("slo_service", "items", "slo_service: write projects/PROJECT/services/ID"),
    ("slos", ["uptime"], 'slos: write "all", or names of files in slos/'),
    ("thresholds", {"high_eror_rate": {"ratio": 0.1}}, "it does not have high_eror_rate.ratio"),
    ("thresholds", {"high_error_rate": {"ratio": 5}}, "from 0 to below 1, such as 0.05 for 5 %"),
    ("thresholds", {"high_error_rate": {"requests": -3}}, "no number below 0; look at high_error_rate.requests"),
    ("thresholds", {"high_error_rate": {"ratios": 0.1}}, "thresholds: write policies and names that defaults.yaml"),
    ("channels", {"mail": {"emial": "a@b"}}, "channels: unknown emial; a channel takes email, google_chat"),
    ("channels", {"mail": "a@b"}, "a channel takes email, google_chat"),
    ("channels", {"mail": {"email": "a@b", "grant_publisher": "maybe"}}, "grant_publisher as true or false"),
    ("iam", {"service_acount": "a@b"}, "iam: unknown service_acount; it takes features and service_account"),
    ("iam", {"features": "metrics"}, "iam: write features as a set of"),
    ("iam", "items@my-project.iam.gserviceaccount.com", "it takes features and service_account"),
    ("logs", {"debug": 0.1}, "logs: unknown debug; it takes archive, bucket, debug_kept"),
    ("logs", {"bucket": {"retention": 90}}, "logs: unknown retention in bucket; it takes analytics, id"),
    ("logs", {"archive": {"target": "storage.googleapis.com/kept"}}, "logs: write archive as { destination ="),
    ("logs", {"requests_below_400": "some"}, "logs: write requests_below_400 and bucket.analytics as true or false"),
    ("logs", {"debug_kept": "a little"}, "logs: write debug_kept as a share from 0"),
    ("resources", {"run_servise": "items-api"}, "resources: unknown run_servise; it takes backend, container"),
    ("uptime_checks", {"acess": "private"}, "uptime_checks: unknown acess; it takes access, enabled, existing"),
    ("uptime_checks", {"enabled": "perhaps"}, "uptime_checks: write enabled as true or false"),
    ("uptime_checks", {"access": "open"}, 'uptime_checks: write access as "public", "private" or "internal"'),
    ("uptime_checks", {"access": "internal"}, "nothing outside can call a service with internal ingress"),
    ("uptime_checks", {"existing": {"public": "a/b"}}, "uptime_checks: write existing as key -> id"),
    ("uptime_checks", {"period": "30s"}, 'uptime_checks: write period as "60s"'),
    ("uptime_checks", {"regions": ["EUROPE", "USA_IOWA"]}, "uptime_checks: write at least three of"),
]


def declared() -> list[str]:
    return re.findall(r'^variable "(\w+)"', (MODULE / "variables.tf").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def unchanged(unchanged: Workspace) -> Workspace:
    """With a folder of the user's own and a catalogue of theirs beside the module's files."""
    (unchanged.folder / "own" / "policies").mkdir(parents=True)
    (unchanged.folder / "own" / "policies" / "own.yaml.tftpl").write_text(OWN_POLICY)
    (unchanged.folder / "own" / "policies" / "needs.yaml").write_text(OWN_POLICY.replace("Own policy", "Plain"))
    (unchanged.folder / "own.json").write_text(OWN_CATALOGUE)
    return unchanged


PLANNED: dict[str, str] = {}


def planned(workspace: Workspace, **variables: Any) -> str:
    """Everything that would be sent, as one text; PromQL without JSON's escapes."""
    key = json.dumps(variables, sort_keys=True)
    if key not in PLANNED:
        plan = workspace.plan(**variables)
        members = [
            [one["change"]["after"].get(name) for name in ("role", "member", "location")]
            for one in plan["resource_changes"]
            if one["type"].endswith("_iam_member")
        ]
        queries = plan["planned_values"]["outputs"]["saved_queries"]["value"]
        PLANNED[key] = json.dumps([planned_bodies(plan), members, queries], sort_keys=True).replace('\\"', '"')
    return PLANNED[key]


@pytest.mark.parametrize("name", declared())
def test_a_variable_that_changes_changes_the_plan(name: str, unchanged: Workspace) -> None:
    value, expected = EFFECTS[name]
    variables = {**INPUTS, **BESIDE.get(name, {})}
    if name == "catalogues":
        # Without the catalogue its metric is unknown, and a template that names it is refused.
        text = OWN_POLICY.replace("http_request_total", "own_total")
        (unchanged.folder / "catalogued" / "policies").mkdir(parents=True)
        (unchanged.folder / "catalogued" / "policies" / "own.yaml.tftpl").write_text(text)
        variables["directories"] = ["catalogued"]
        assert "own_total" in unchanged.refusal(**variables)
        assert expected in planned(unchanged, **{**variables, name: value})
        return
    if name == "project_number":
        assert "project_number: write the project's number" in unchanged.refusal(**variables)
        assert expected in planned(unchanged, **{**variables, name: value})
        return
    before = planned(unchanged, **variables)
    after = planned(unchanged, **{**variables, name: value})
    assert after != before
    assert expected in after
    assert not expected or expected not in before


@pytest.mark.parametrize(("name", "value", "expected"), PARTS)
def test_a_part_of_a_variable_does_what_it_says(name: str, value: Any, expected: str, unchanged: Workspace) -> None:
    variables = {**INPUTS, "policies": ["all"], "project_number": "123"}
    assert expected not in planned(unchanged, **variables)
    assert expected in planned(unchanged, **{**variables, name: value})


@pytest.mark.parametrize(("value", "expected"), ON_GKE)
def test_names_on_gke_reach_the_queries(value: dict[str, str], expected: str, unchanged: Workspace) -> None:
    variables = {**INPUTS, "platform": "gke", "policies": ["all"]}
    assert expected not in planned(unchanged, **variables)
    assert expected in planned(unchanged, **{**variables, "resources": value})


def test_what_a_word_turns_off_is_off_and_later_words_win(unchanged: Workspace) -> None:
    def on(*words: str) -> set[str]:
        plan = planned_bodies(unchanged.plan(**{**INPUTS, "directories": ["own"], "policies": words}))
        return {at.split('"')[1] for at in plan if at.startswith("google_monitoring_alert_policy.policies[")}

    default = on("default")
    assert {"own", "needs", "high_error_rate"} <= default
    assert on("default", "-high_error_rate") == default - {"high_error_rate"}
    assert on("default", "-own") == default - {"own"}
    assert on("-default") == {"own", "needs"}
    assert on("-all", "high_error_rate") == {"high_error_rate"}
    assert on("all", "-all", "own") == {"own"}
    assert on() == {"own", "needs"}


def test_without_uptime_checks_no_policy_waits_for_them(unchanged: Workspace) -> None:
    without = planned(unchanged, **{**INPUTS, "uptime_checks": {"enabled": False}})
    assert "uptime_check" not in without
    assert "uptime_check" in planned(unchanged, **INPUTS)
    existing = planned(unchanged, **{**INPUTS, "uptime_checks": {"existing": {"public": "a-b"}}})
    assert "uptimeCheckConfigs" not in existing
    assert "uptime_check_" in existing


@pytest.fixture(scope="module")
def refused_together(unchanged: Workspace) -> dict[int, str]:
    """What one plan says of a call of the module for each case: a plan for each would take a minute."""
    folder = unchanged.folder.parents[1] / "refused"
    folder.mkdir()
    lines: list[str] = []
    cases: dict[int, int] = {}
    for number, (name, value, _) in enumerate(REFUSED):
        lines += [f'module "m{number}" {{', '  source = "../terraform/monitoring"']
        for argument, given in {**INPUTS, name: value}.items():
            lines.append(f"  {argument} = {json.dumps(given)}")
            cases[len(lines)] = number
        lines.append("}")
    (folder / "main.tf").write_text("\n".join(lines))
    workspace = Workspace(folder, unchanged.environment)
    workspace.ok("init", "-no-color", "-input=false")
    done = workspace.run("plan", "-json", "-input=false")
    told: dict[int, str] = {}
    for line in map(json.loads, done.stdout.splitlines()):
        place = line.get("diagnostic", {}).get("range", {})
        number = cases.get(place.get("start", {}).get("line", 0), -1) if place.get("filename") == "main.tf" else -1
        told[number] = f"{told.get(number, '')}\n{line.get('diagnostic', {}).get('detail', '')}"
    return told


@pytest.mark.parametrize("case", range(len(REFUSED)), ids=lambda case: f"{REFUSED[case][0]}-{case}")
def test_a_value_that_cannot_be_used_is_refused_in_our_words(
    case: int, refused_together: dict[int, str], unchanged: Workspace
) -> None:
    name, value, message = REFUSED[case]
    # What is found only later in a plan, when other calls stop it before, is asked for alone.
    assert message in refused_together.get(case, "") or message in unchanged.refusal(**{**INPUTS, name: value})


@pytest.mark.parametrize("folder", [".", "project", "channels"])
def test_no_object_drops_a_misspelt_attribute_without_a_word(folder: str) -> None:
    """Terraform does, for every object type; so such variables take anything, and tell what they do not know."""
    text = (MODULE / folder / "variables.tf").read_text()
    declared = re.findall(r'^variable "(\w+)" {\n(.*?)^}', text, re.MULTILINE | re.DOTALL)
    shaped = {name: body for name, body in declared if "object({" in body}
    assert shaped
    for name, body in shaped.items():
        assert re.search(r"^  type +=(.*)$", body, re.MULTILINE)[1].strip() == "any"  # type: ignore[index]  # it has one
        comment = "\n".join(re.findall(r"^  # ?(.*)$", body, re.MULTILINE))
        told = {word for known in re.findall(r'\[((?:"\w+"(?:, )?)+)\]', body) for word in re.findall(r"\w+", known)}
        assert told >= set(re.findall(r"(\w+) += ", comment)), name


def test_every_variable_has_a_value_that_is_refused() -> None:
    assert {name for name, _, _ in REFUSED} == set(declared())


def test_null_stands_for_the_default(unchanged: Workspace) -> None:
    text = (MODULE / "variables.tf").read_text()
    optional = [block.split('"')[1] for block in f"\n{text}".split("\nvariable ") if "\n  default " in block]
    without = {key: value for key, value in INPUTS.items() if key not in optional}
    assert planned(unchanged, **without, **dict.fromkeys(optional)) == planned(unchanged, **without)


def test_without_routes_nobody_is_told(unchanged: Workspace) -> None:
    without = planned(unchanged, **{name: value for name, value in INPUTS.items() if name != "routes"})
    assert "notificationChannels" not in without
    assert "renotifyInterval" not in without


def test_a_misspelt_variable_is_refused(unchanged: Workspace) -> None:
    (unchanged.folder / "examples" / "misspelt").mkdir(exist_ok=True)
    (unchanged.folder / "examples" / "misspelt" / "main.tf").write_text(
        'module "monitoring" {\n  source  = "../.."\n  servise = "items"\n}\n'
    )
    workspace = Workspace(unchanged.folder / "examples" / "misspelt", unchanged.environment)
    workspace.ok("init", "-no-color", "-input=false")
    done = workspace.run("validate", "-no-color")
    assert 'An argument named "servise" is not expected here' in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("folder", [".", "project", "channels", "queries"])
def test_variables_and_outputs_stand_in_alphabetical_order_and_describe_themselves(folder: str) -> None:
    for file, block in (("variables.tf", "variable"), ("outputs.tf", "output")):
        text = (MODULE / folder / file).read_text()
        names = re.findall(rf'^{block} "(\w+)"', text, re.MULTILINE)
        assert names == sorted(names)
        assert len(re.findall(r"^  description +=", text, re.MULTILINE)) == len(names)
        if block == "variable":
            assert len(re.findall(r"^  type +=", text, re.MULTILINE)) == len(names)
            free = len(re.findall(r"^  default += null$", text, re.MULTILINE))
            assert len(re.findall(r"^  nullable +=", text, re.MULTILINE)) + free == len(names)
