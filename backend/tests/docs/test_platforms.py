"""What the documents say of platforms: manifests agree with each other and with the settings that they name."""

import re
import subprocess
import sys

import pytest
import yaml

from app.api.settings import ServiceSettings
from app.core import Settings
from support.blocks import PAGES, ROOT
from support.manifests import problems

HEALTH = ROOT / "docs" / "examples" / "health"
DEPLOY = ROOT / "deploy"
SETTINGS = {name.upper() for name in (*Settings.model_fields, *ServiceSettings.model_fields)}
#: By whom else a name in capitals is known.
OTHERS: dict[str, set[str]] = {
    "the Makefile": set(re.findall(r"^([A-Z_]+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE)),
    "the command line": {"CLOUDOPS_TOKEN", "CLOUDOPS_EMULATOR_HTTP"},
    "Cloud Run": {"K_SERVICE", "K_REVISION", "K_CONFIGURATION", "CLOUD_RUN_JOB", "CONTAINER_CONCURRENCY"},
    "OpenTelemetry": {
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SEMCONV_STABILITY_OPT_IN",
    },
    "terminals": {"NO_COLOR", "FORCE_COLOR"},
    "Linux": {"O_NONBLOCK", "RWF_NOWAIT", "TCP_NODELAY", "IPPROTO_TCP"},
    "Google's APIs": {
        "INVALID_ARGUMENT",
        "FAILED_PRECONDITION",
        "PERMISSION_DENIED",
        "AND_WITH_MATCHING_RESOURCE",
        "EVALUATION_MISSING_DATA_NO_OP",
    },
    "an example": {"POSTGRESQL_URL", "PRICES_URL", "API_KEY"},
    "file names": {"MONITORING_SYSTEM"},
    "flags of open(2)": {"O_EXCL", "O_NOFOLLOW"},
}


# Generated pages tell names of the code's own.
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent.name != "reference" or page.name == "emulator.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_variable_that_a_page_names_is_a_setting(page):
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", page.read_text()))
    assert named - SETTINGS - {name for names in OTHERS.values() for name in names} == set()


def test_the_manifest_of_the_reference_service_is_one_of_cloud_run_with_the_probes_of_the_guide():
    names = ("PROJECT", "REGION", "SERVICE", "IMAGE", "REVISION", "SERVING", "ENVIRONMENT", "CLOUDSQL_INSTANCE")
    rendered = subprocess.run(
        [sys.executable, DEPLOY / "render.py", DEPLOY / "service.yaml"],
        env=dict.fromkeys(names, "p"),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    manifest = yaml.safe_load(rendered)
    assert problems(manifest) == []
    ours, guide = (_probes(one) for one in (manifest, yaml.safe_load((HEALTH / "cloud_run.yaml").read_text())))
    assert ours == {name: guide[name] for name in ("startupProbe", "livenessProbe")}


def _probes(manifest):
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    probes = {name: value for name, value in container.items() if name.endswith("Probe")}
    for probe in probes.values():
        probe["httpGet"].pop("port", None)  # the container's own, unless given
    return probes


def test_the_pod_of_the_guide_says_who_it_is():
    [container] = yaml.safe_load((HEALTH / "gke.yaml").read_text())["spec"]["template"]["spec"]["containers"]
    values = {one["name"].lower(): one["value"] for one in container["env"]}
    settings = Settings.load(**values)
    assert (settings.service_name, settings.environment, settings.drain_seconds) == ("shop", "production", 25)


def test_the_guide_names_the_roles_that_the_module_binds():
    module = (ROOT / "terraform" / "monitoring" / "iam.tf").read_text()
    for page in ("platforms", "tracing"):
        roles = set(re.findall(r"roles/[\w.]+", (ROOT / "docs" / "guides" / f"{page}.md").read_text()))
        assert roles, page
        assert {role for role in roles if role not in module} == set(), page
