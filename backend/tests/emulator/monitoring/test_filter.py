import pytest

from app.emulator.monitoring.filter import parse_filter
from app.emulator.monitoring.model import Series
from app.emulator.status import ApiError, Code
from support.provenance import known_from

FILTERS = "docs.cloud.google.com/monitoring/api/v3/filters"
SERIES = Series(
    metric_type="custom.googleapis.com/requests",
    metric_labels={"code": "503", "route": "/items/{id}", "a b": "c"},
    resource_type="generic_task",
    resource_labels={"project_id": "demo", "location": "europe-west1", "job": "items"},
    kind="CUMULATIVE",
    value_type="INT64",
)
TRUE = 'resource.type = "generic_task"'
FALSE = 'resource.type = "global"'


def matches(text: str) -> bool:
    return parse_filter(text).matches(SERIES)


@known_from(docs=FILTERS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ('metric.type = "custom.googleapis.com/requests"', True),
        ("metric.type='custom.googleapis.com/requests'", True),
        ('metric.type = starts_with("custom.googleapis.com/")', True),
        ('metric.type = starts_with("requests")', False),
        ('metric.type != ends_with("requests")', False),
        ('metric.type = has_substring("google")', True),
        ('metric.type : "requests"', True),
        ("resource.type = generic_task", True),
        ('resource.type = one_of("global", "generic_task")', True),
        ('resource.type = one_of("global")', False),
        ('metric.labels.code = "503"', True),
        ("metric.label.code = 503", True),
        ("metric.label.code >= 500", True),
        ("metric.label.code < 500", False),
        ("metric.label.route > 1", False),
        ('metric.labels."a b" = "c"', True),
        ('metric.labels.code = monitoring.regex.full_match("5..")', True),
        ('metric.labels.code = monitoring.regex.full_match("5")', False),
        ('metric.labels.code != monitoring.regex.full_match("5..")', False),
        ('metric.labels.absent = ""', True),
        ('metric.labels.absent != "x"', True),
        ('project = "demo"', True),
        ("resource.labels:location", True),
        ("resource.label:zone", False),
        ('resource.labels.job = "it\\"ems"', False),
    ],
)
def test_one_comparison(text: str, expected: bool) -> None:
    assert matches(text) is expected


@known_from(docs=FILTERS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{TRUE} AND {TRUE}", True),
        (f"{TRUE} AND {FALSE}", False),
        (f"{TRUE} {FALSE}", False),
        (f"{TRUE} {TRUE}", True),
        (f"{FALSE} OR {TRUE}", True),
        (f"NOT {FALSE}", True),
        (f"-{FALSE}", True),
        (f"NOT ({FALSE} OR {TRUE})", False),
        (f"{TRUE} OR {TRUE} AND {FALSE}", False),
        (f"{TRUE} OR ({TRUE} AND {FALSE})", True),
        (f"NOT {FALSE} OR {FALSE}", True),
        (f"NOT NOT {TRUE}", True),
    ],
)
def test_not_binds_closest_then_or_then_and(text: str, expected: bool) -> None:
    assert matches(text) is expected


def test_a_filter_tells_the_metric_types_it_names() -> None:
    parsed = parse_filter('metric.type = "a.b/c" AND (resource.type = "global" OR metric.type = "a.b/d")')
    assert parsed.metric_types == ("a.b/c", "a.b/d")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("metric.type =", "syntax error"),
        ('metric.type = "x" AND', "syntax error"),
        ("metric.type = \"x\"\n  resource.type == 'y'", "line 2, column 18"),
        ('(metric.type = "x"', "syntax error"),
        ('colour = "red"', "colour is not a field of time series"),
        ('metric.type = monitoring.regex.full_match("(")', "Field filter had an invalid value"),
        ('metric.type = best("x")', "the function best is unknown"),
        ('metric.type > starts_with("x")', "a function is compared by = or !="),
        ('metric.type = starts_with("x", "y")', "starts_with takes one string"),
        ("metric.labels.code > x", "could not convert"),
        ("x" * 2049, "2049 characters"),
    ],
)
def test_a_wrong_filter_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_filter(text)
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert caught.value.message.startswith("Field filter had an invalid value")
    assert place in caught.value.message


@pytest.mark.parametrize(
    "text",
    ['metadata.user_labels.team = "x"', 'group.id = "1"', 'select_slo_burn_rate("projects/p/services/s", "3600s")'],
)
def test_what_is_not_kept_is_refused_by_name(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_filter(text)
    assert caught.value.code == Code.UNIMPLEMENTED
    assert text.split(maxsplit=1)[0].split("(", maxsplit=1)[0] in caught.value.message


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    with pytest.raises(ApiError):
        parse_filter("(" * 900 + TRUE)
    assert matches("(" * 900 + TRUE + ")" * 900)
