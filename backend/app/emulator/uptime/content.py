"""Whether a response's content is what an uptime check expects (google/monitoring/v3/uptime.proto, ContentMatcher)."""

import json
import re
from typing import Any

from ..logging.regex import compile_re2
from .messages import Raw, UptimeCheckConfig

_MATCHERS = UptimeCheckConfig.ContentMatcher.ContentMatcherOption
_JSON = UptimeCheckConfig.ContentMatcher.JsonPathMatcher.JsonPathMatcherOption
_STEP = re.compile(
    r"""\.\.(?P<deep>[\w-]+|\*)|\.(?P<name>[\w-]+|\*)|\[\s*(?:(?P<index>-?\d+)|(?P<all>\*)|"(?P<double>[^"]*)"|'(?P<single>[^']*)')\s*\]"""
)


def matches(matcher: Raw, body: str) -> bool:
    """Whether the body passes; "an empty content string indicates no content matching is to be performed"."""
    if not matcher.content:
        return True
    match _MATCHERS.Name(matcher.matcher):
        case "CONTENT_MATCHER_OPTION_UNSPECIFIED" | "CONTAINS_STRING":
            return matcher.content in body
        case "NOT_CONTAINS_STRING":
            return matcher.content not in body
        case "MATCHES_REGEX":
            return bool(compile_re2(matcher.content).found_in(body))
        case "NOT_MATCHES_REGEX":
            return not compile_re2(matcher.content).found_in(body)
        case "MATCHES_JSON_PATH":
            return _json_matches(matcher, body)
        case _:
            return not _json_matches(matcher, body)


def check_matcher(matcher: Raw) -> None:
    """Read what `matches` will read.

    Raises:
        ValueError: A regular expression or a JSONPath that cannot be read.
    """
    name = _MATCHERS.Name(matcher.matcher)
    wants_json = name.endswith("JSON_PATH")
    if wants_json != matcher.HasField("json_path_matcher"):
        raise ValueError(
            "json_path_matcher belongs to MATCHES_JSON_PATH and NOT_MATCHES_JSON_PATH, and is needed there"
        )
    if wants_json:
        parse_path(matcher.json_path_matcher.json_path)
    if "REGEX" in name or (wants_json and matcher.json_path_matcher.json_matcher == _JSON.REGEX_MATCH):
        compile_re2(matcher.content)


def _json_matches(matcher: Raw, body: str) -> bool:
    try:
        found = find(json.loads(body), matcher.json_path_matcher.json_path)
    except ValueError:
        return False
    if matcher.json_path_matcher.json_matcher == _JSON.REGEX_MATCH:
        pattern = compile_re2(matcher.content)
        return any(pattern.found_in(_text(one)) for one in found)
    return any(_text(one) == matcher.content or json.dumps(one) == matcher.content for one in found)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def parse_path(path: str) -> list[tuple[str, str | int]]:
    """The steps of a JSONPath: names, indexes, `*` and `..name`.

    Raises:
        ValueError: Anything else, such as filters and slices.
    """
    if not path.startswith("$"):
        raise ValueError(f"the JSONPath {path!r} does not begin with $")
    steps: list[tuple[str, str | int]] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError(f"the JSONPath {path!r} cannot be read from column {at + 1} on")
        at = step.end()
        if step["deep"] is not None:
            steps.append(("deep", step["deep"]))
        elif step["index"] is not None:
            steps.append(("index", int(step["index"])))
        elif step["all"] is not None or step["name"] == "*":
            steps.append(("all", "*"))
        else:
            name = next(text for text in (step["name"], step["double"], step["single"]) if text is not None)
            steps.append(("name", name))
    return steps


def find(document: Any, path: str) -> list[Any]:
    """What a JSONPath leads to."""
    found = [document]
    for kind, wanted in parse_path(path):
        found = [child for one in found for child in _step(one, kind, wanted)]
    return found


def _step(value: Any, kind: str, wanted: str | int) -> list[Any]:
    if kind == "name":
        return [value[wanted]] if isinstance(value, dict) and wanted in value else []
    if kind == "index":
        assert isinstance(wanted, int)
        fits = isinstance(value, list) and -len(value) <= wanted < len(value)
        return [value[wanted]] if fits else []
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if kind == "all":
        return list(children)
    assert isinstance(wanted, str)
    here = _step(value, "all" if wanted == "*" else "name", wanted)
    return here + [deeper for child in children for deeper in _step(child, "deep", wanted)]
