"""What ConfigServiceV2 and MetricsServiceV2 refuse (google/logging/v2: logging_config.proto, logging_metrics.proto)."""

import re
from typing import Any, NamedTuple

from ..names import require_project
from ..project import Context
from ..status import ApiError, Code, invalid, missing_field, not_found
from .query import MAXIMUM_LENGTH, Query, compile_query
from .syntax import All, AnyOf, Call, Compare, Expression, FilterError, Not, Path, parse

DEFAULT, REQUIRED = "_Default", "_Required"
MAXIMUM_DESCRIPTION = 8000

_ID = re.compile(r"[A-Za-z0-9_.\-]{1,100}")
_SINK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
_BUCKET = re.compile(r"(projects/[^/]+)/locations/([^/]+)/buckets/([^/]+)(?:/views/([^/]+))?")
_LOCATION = re.compile(r"(projects/[^/]+)/locations/([^/]+)")
_PLACE = re.compile(r"global|[a-z]+(?:-[a-z]+)+\d+|us|eu")
_DESTINATIONS = (
    re.compile(r"storage\.googleapis\.com/[^/]+"),
    re.compile(r"bigquery\.googleapis\.com/projects/[^/]+/datasets/[^/]+"),
    re.compile(r"pubsub\.googleapis\.com/projects/[^/]+/topics/[^/]+"),
    re.compile(r"logging\.googleapis\.com/projects/[^/]+(?:/locations/[^/]+/buckets/[^/]+)?"),
)


class BucketName(NamedTuple):
    project: str
    location: str
    bucket: str
    view: str

    @property
    def bucket_name(self) -> str:
        return f"{self.project}/locations/{self.location}/buckets/{self.bucket}"


def read_bucket_name(name: str, context: Context, field: str = "name", *, view: bool = False) -> BucketName:
    """The parts of a bucket's or a view's name, the project by its id.

    Raises:
        ApiError: INVALID_ARGUMENT for another form, NOT_FOUND for another project.
    """
    if not name:
        raise missing_field(field)
    match = _BUCKET.fullmatch(name)
    if match is None or bool(match[4]) is not view:
        form = "projects/[PROJECT_ID]/locations/[LOCATION_ID]/buckets/[BUCKET_ID]" + (
            "/views/[VIEW_ID]" if view else ""
        )
        raise invalid(f"Name '{name}' is not of the form {form}.")
    require_project(match[1], context.project_id, context.project_number, field)
    return BucketName(f"projects/{context.project_id}", match[2], match[3], match[4] or "")


def read_location(parent: str, context: Context, *, any_location: bool) -> tuple[str, str]:
    """Project and location of a bucket's parent; the location may be `-` when buckets are listed."""
    match = _LOCATION.fullmatch(parent)
    if match is None:
        raise invalid(f"Name '{parent}' is not of the form projects/[PROJECT_ID]/locations/[LOCATION_ID].")
    require_project(match[1], context.project_id, context.project_number, "parent")
    if _PLACE.fullmatch(match[2]) is None and not (any_location and match[2] == "-"):
        raise invalid(f"Location '{match[2]}' is not supported.")
    return f"projects/{context.project_id}", match[2]


def read_project(name: str, context: Context, field: str = "parent") -> str:
    if not name:
        raise missing_field(field)
    require_project(name, context.project_id, context.project_number, field)
    return f"projects/{context.project_id}"


def read_child(name: str, collection: str, context: Context, field: str = "name") -> str:
    """The id in `projects/P/<collection>/ID`."""
    read_project(name, context, field)
    _, middle, child = name.partition(f"/{collection}/")
    if not middle or not child or name.count("/") != collection.count("/") + 3:
        raise invalid(f"Name '{name}' is not of the form projects/[PROJECT_ID]/{collection}/[ID].")
    return child


def check_id(given: str, what: str) -> None:
    if not given:
        raise missing_field(what)
    if _ID.fullmatch(given) is None:
        raise invalid(f"{what} '{given}' must have 1 to 100 letters, digits, underscores, hyphens and periods.")


def check_sink(sink: Any, context: Context) -> None:
    if _SINK_ID.fullmatch(sink.name) is None:
        raise invalid(
            f"Sink name '{sink.name}' must begin with a letter or digit and have 1 to 100 letters, digits, "
            "underscores, hyphens and periods."
        )
    check_destination(sink, context)


def check_destination(sink: Any, context: Context) -> None:
    if not sink.destination:
        raise missing_field("sink.destination")
    if not any(form.fullmatch(sink.destination) for form in _DESTINATIONS):
        raise invalid(f"Unsupported sink destination: {sink.destination}")
    if sink.destination in {
        f"logging.googleapis.com/projects/{p}" for p in (context.project_id, context.project_number)
    }:
        raise invalid("A sink cannot route to its own project; name one of its buckets.")
    check_sink_filters(sink)


def check_sink_filters(sink: Any) -> None:
    check_description(sink.description)
    compiled(sink.filter)
    names = [exclusion.name for exclusion in sink.exclusions]
    if len(set(names)) != len(names):
        raise invalid("The exclusions of a sink need different names.")
    # docs.cloud.google.com/logging/quotas: exclusion filters per sink.
    if len(names) > 50:  # noqa: PLR2004
        raise invalid(f"A sink has at most 50 exclusions, not {len(names)}.")
    for exclusion in sink.exclusions:
        check_exclusion(exclusion)


def check_exclusion(exclusion: Any) -> None:
    if _SINK_ID.fullmatch(exclusion.name) is None:
        raise invalid(
            f"Exclusion name '{exclusion.name}' must begin with a letter or digit and have 1 to 100 letters, digits, "
            "underscores, hyphens and periods."
        )
    if not exclusion.filter.strip():
        raise missing_field("exclusion.filter")
    check_description(exclusion.description)
    compiled(exclusion.filter)


def check_description(description: str) -> None:
    if len(description) > MAXIMUM_DESCRIPTION:
        raise invalid(f"The description has {len(description)} characters, the limit is {MAXIMUM_DESCRIPTION}.")


def compiled(text: str) -> Query:
    """A filter, compiled.

    Raises:
        ApiError: INVALID_ARGUMENT with the place of the mistake.
    """
    if len(text) > MAXIMUM_LENGTH:
        raise invalid(f"Unparseable filter: it has more than {MAXIMUM_LENGTH} characters.")
    try:
        return compile_query(text)
    except FilterError as error:
        raise invalid(f"Unparseable filter: {error}") from None


def check_view_filter(text: str) -> None:
    """A view joins sources, log ids and resource types by AND (docs.cloud.google.com/logging/docs/logs-views)."""
    compiled(text)
    tree = parse(text)
    if tree is not None and not _allowed_in_view(tree):
        raise invalid(
            "The filter of a view is a logical AND of source(), log_id() and resource.type comparisons, "
            "each of which may be negated."
        )


def _allowed_in_view(tree: Expression) -> bool:
    match tree:
        case All(parts):
            return all(map(_allowed_in_view, parts))
        case Not(part):
            return _allowed_in_view(part)
        case Call(name=name):
            return name.lower() in {"source", "log_id"}
        case Compare(left=Path() as left, operator=operator):
            return left.text.lower() == "resource.type" and operator in {"=", "!="}
        case _:
            return False


def asks_only_for_logs(text: str) -> bool:
    """Whether a valid filter has the same answer for all entries of a log."""
    tree = parse(text)
    return tree is None or _is_about_logs(tree)


def _is_about_logs(tree: Expression) -> bool:
    match tree:
        case All(parts) | AnyOf(parts):
            return all(map(_is_about_logs, parts))
        case Not(part):
            return _is_about_logs(part)
        case Call(name=name):
            return name.lower() in {"source", "log_id"}
        case _:
            return False


def absent(kind: str, name: str) -> ApiError:
    return not_found(f"{kind} {name} does not exist")


def precondition(message: str) -> ApiError:
    return ApiError(Code.FAILED_PRECONDITION, message)


def paths_of(mask: Any, message: Any, fields: frozenset[str]) -> list[str]:
    """The top-level fields that an update mask names (snake case or camel case).

    Raises:
        ApiError: INVALID_ARGUMENT for an empty mask and for fields that cannot be updated.
    """
    known = {field.json_name: field.name for field in message.DESCRIPTOR.fields}
    paths = []
    for path in mask.paths:
        first = path.split(".")[0]
        name = known.get(first, first)
        if name not in fields:
            raise invalid(f"update_mask names '{path}', which cannot be updated.")
        paths.append(name)
    if not paths:
        raise missing_field("update_mask")
    return list(dict.fromkeys(paths))


def overwrite(stored: Any, given: Any, fields: list[str]) -> Any:
    """A copy of a message with some fields taken from another one."""
    result = type(stored)()
    result.CopyFrom(stored)
    for field in fields:
        result.ClearField(field)
        part = type(stored)()
        part.CopyFrom(given)
        for other in [descriptor.name for descriptor, _ in part.ListFields()]:
            if other != field:
                part.ClearField(other)
        result.MergeFrom(part)
    return result
