"""One catalogue: code, policies, dashboards and documents name what it has, and it has what is recorded."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.core.metrics import catalogue
from tools.reference_pages import ROOT

APP = ROOT / "backend" / "app"
OWN = catalogue.own()
PLATFORM = json.loads((APP / "core/metrics/platform_metrics.json").read_text())["metrics"]
BY_PROMQL = {metric["promql"]: metric for metric in PLATFORM.values()}
RESOURCE = {"project_id", "location", "cluster", "namespace", "job", "instance", "le", "__name__", "monitored_resource"}
#: Labels of the resources of Google's own metrics.
PLATFORM_RESOURCE = {
    "configuration_name", "service_name", "revision_name", "host", "subscription_id", "cluster_name", "namespace_name",
    "pod_name", "container_name", "project_id", "location", "database_id", "region", "instance_id", "node_id",
    "backend_target_name", "url_map_name", "forwarding_rule_name",
    "monitored_resource", "le", "__name__",
}  # fmt: skip

# What nobody records yet, and why. This list only gets shorter: what is recorded must not be in it.
NOT_RECORDED_YET = {
    "cloudops_spans_written_total": "spans are not exported yet",
}  # fmt: skip
#: Names made of two parts in the file that records them.
COMPOSED = {
    "db_pool_connections": ("db_pool", "_connections"),
    "redis_pool_connections": ("redis_pool", "_connections"),
}

# Documents show metrics that services declare; these are examples of them, and names of other things.
NOT_OURS = {"mails_sent_total", "orders_total", "order_items_total", "http_server_request_duration_seconds"}

# They show names that a check refuses, that only a test writes, or that other libraries use; settings are no metrics.
WRONG_ON_PURPOSE = {"adopting.md", "linting.md", "parity.md", "settings.md"}
#: Log fields and settings end in units too; what begins like one of our metrics is meant to be one.
FIRST_WORDS = {name.partition("_")[0] for name in OWN}


class Use(NamedTuple):
    """A place that names a metric with labels."""

    where: str
    name: str
    labels: frozenset[str]


def _base(name: str) -> str:
    """The metric that a name in a query is of: a histogram has three."""
    for suffix in ("_bucket", "_count", "_sum"):
        if name.removesuffix(suffix) in OWN and OWN[name.removesuffix(suffix)].kind == "histogram":
            return name.removesuffix(suffix)
    return name


def _python() -> Iterator[Path]:
    for folder in (APP / "core", APP / "api", APP / "cli", ROOT / "backend" / "demo"):
        yield from folder.rglob("*.py")
    yield APP / "main.py"


def _uses_in_code() -> Iterator[Use]:
    for path in _python():
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            declared = isinstance(node.func.value, ast.Attribute) and node.func.value.attr == "declare"
            if (
                declared
                or node.func.attr not in {"counter", "gauge", "histogram", "up_down", "metric"}
                or not node.args
            ):
                continue
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                given = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "labels")]
                keys = {
                    key.value
                    for labels in given
                    if isinstance(labels, ast.Dict)
                    for key in labels.keys
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                }
                yield Use(f"{path.relative_to(ROOT)}:{node.lineno}", name.value, frozenset(keys))


_QUERY_NAME = re.compile(
    r"(?:\$\{metrics\.([a-z0-9_]+)\}([a-z_]*)|([a-z_]+_(?:googleapis_com|io):[a-z0-9_]+))(?:\{(.*?)\})?"
)
_MATCHER = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*\\?[\"']")
_TYPE = re.compile(r"metric\.type\s*=\s*\\?[\"']([a-z.]+/[a-z0-9_/]+)")


def _data_files() -> Iterator[Path]:
    folder = ROOT / "terraform" / "monitoring"
    yield from (
        path
        for path in folder.rglob("*")
        if path.suffix in {".tftpl", ".json", ".yaml"} and ".terraform" not in path.parts
    )


def _uses_in(text: str, where: str) -> Iterator[Use]:
    # `${scope}` and the like inside of a selector would end it early.
    text = re.sub(r"\$\{(?!metrics\.)[a-z_.]+\}", "", text)
    for name, suffix, platform, matchers in _QUERY_NAME.findall(text):
        labels = frozenset(_MATCHER.findall(matchers))
        yield Use(where, platform or name + suffix, labels)
    for metric_type in _TYPE.findall(text):
        yield Use(where, metric_type, frozenset())


def _uses_in_data_files() -> Iterator[Use]:
    for path in _data_files():
        yield from _uses_in(path.read_text(), str(path.relative_to(ROOT)))


_DOCUMENTED = re.compile(
    r"(?<![\w.${/-])([a-z][a-z0-9]*(?:_[a-z0-9]+)*_(?:total|seconds|bytes|ms)(?:_bucket|_count|_sum)?)(?:\{([^}`\n]*)\})?(?![\w(=])"
)


def _uses_in_documents() -> Iterator[Use]:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "terraform").rglob("*.md")]:
        if ".terraform" in path.parts or path.name in WRONG_ON_PURPOSE:
            continue
        text = path.read_text()
        where = str(path.relative_to(ROOT))
        yield from _uses_in(text, where)
        for name, inside in _DOCUMENTED.findall(text):
            if name not in NOT_OURS and (name.endswith("_total") or name.partition("_")[0] in FIRST_WORDS):
                named = _MATCHER.findall(inside) or [
                    one.strip() for one in inside.split(",") if re.fullmatch(r"\s*[a-z_]+\s*", one)
                ]
                yield Use(where, name, frozenset(named))


def _wrong(uses: Iterator[Use]) -> list[str]:
    found = []
    for where, name, labels in uses:
        metric = OWN.get(_base(name))
        bare = re.sub(r"_(bucket|count|sum)$", "", name)
        platform: dict[str, Any] = PLATFORM.get(name) or BY_PROMQL.get(bare) or BY_PROMQL.get(name) or {}
        if metric is None and not platform:
            found.append(f"{where}: no catalogue has {name}")
        else:
            known = {*metric.labels, *RESOURCE} if metric else {*platform["labels"], *PLATFORM_RESOURCE}
            found += [f"{where}: {name} has no label {label}" for label in sorted(labels - known)]
    return found


def test_code_names_what_the_catalogue_has():
    uses = list(_uses_in_code())
    assert len(uses) > 20, "the search does not find what there is"
    assert _wrong(iter(uses)) == []


def test_policies_and_dashboards_name_what_the_catalogues_have():
    uses = list(_uses_in_data_files())
    assert {"http_request_total", "http_requests_in_flight"} <= {use.name for use in uses}
    assert any("status_code" in use.labels for use in uses)
    assert _wrong(iter(uses)) == []


def test_documents_name_what_the_catalogues_have():
    uses = list(_uses_in_documents())
    assert "http_request_total" in {use.name for use in uses}
    assert _wrong(iter(uses)) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('rate(${metrics.http_request_total}{${scope},status_code=~"5.."}[5m])', []),
        ('rate(${metrics.http_request_total}{${scope},code=~"5.."}[5m])', ["has no label code"]),
        ('${metrics.http_request_duration_seconds}_bucket{${scope},le="0.5"}', []),
        ("${metrics.http_request_total}_bucket", ["no catalogue has http_request_total_bucket"]),
        ("${metrics.http_requests_total}", ["no catalogue has http_requests_total"]),
        ('run_googleapis_com:request_count{service_name="x",response_code_class="5xx"}', []),
        ('run_googleapis_com:request_latencies_bucket{le="100"}', []),
        ('run_googleapis_com:request_count{status="x"}', ["has no label status"]),
        ("run_googleapis_com:requests", ["no catalogue has run_googleapis_com:requests"]),
        ('metric.type=\\"run.googleapis.com/requests\\"', ["no catalogue has run.googleapis.com/requests"]),
        ('metric.type="run.googleapis.com/request_count"', []),
    ],
)
def test_the_search_finds_what_is_wrong(text, wrong):
    found = _wrong(_uses_in(text, "here"))
    assert len(found) == len(wrong)
    assert all(problem in line for problem, line in zip(wrong, found, strict=True))


def _recorded(name: str) -> bool:
    recorder = OWN[name].recorded_by
    files = (
        [*(APP / "api").rglob("*.py"), *(APP / "middleware").rglob("*.py")]
        if recorder == "the service"
        else [APP / recorder]
    )
    texts = [path.read_text() for path in files if path.exists()]
    parts = COMPOSED.get(name)
    if parts is not None:
        everything = "".join(path.read_text() for path in (APP / "core/metrics/sources").glob("*.py"))
        return all(part in everything for part in parts)
    return any(f'"{name}"' in text for text in texts)


@pytest.mark.parametrize("name", OWN)
def test_what_the_catalogue_has_is_recorded_where_it_says(name):
    if name in NOT_RECORDED_YET:
        assert not _recorded(name), f"{name} is recorded now: take it off NOT_RECORDED_YET"
    else:
        assert _recorded(name), f"{OWN[name].recorded_by} does not name {name}"


def test_the_list_of_what_is_not_recorded_yet_names_metrics():
    assert NOT_RECORDED_YET.keys() <= OWN.keys()
    assert len(NOT_RECORDED_YET) <= 1
