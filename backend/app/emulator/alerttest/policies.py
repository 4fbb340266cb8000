"""Alert policies of any origin: data files, exports of the API, plans of Terraform."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from google.protobuf import json_format

from ..alerting.messages import AlertPolicy, Raw
from ..alerting.validation import check_policy
from ..definitions import DefinitionError, data_root, load
from ..definitions.errors import closest
from ..definitions.shape import problems
from ..status import ApiError
from .errors import ScriptError
from .plan import policies_of_plan

# What the server fills in, and a new policy must not have.
_SERVER_SIDE = ("name", "creationRecord", "mutationRecord", "validity")

# What the project's own templates ask for, so that they can be tested without a word about it.
DEFAULT_VARIABLES: Mapping[str, Any] = {
    "service": "test",
    "environment": "test",
    "project": "demo",
    "location": "europe-west1",
    "host": "test.example.com",
}


class Policy(NamedTuple):
    key: str
    """The file's name without its endings; the resource's address in a plan."""
    message: Raw
    origin: str

    @property
    def display_name(self) -> str:
        return str(self.message.display_name)


def read_policies(paths: Sequence[Path], variables: Mapping[str, Any]) -> list[Policy]:
    """The policies in files and folders; without a path, the project's own.

    Raises:
        ScriptError: A file cannot be used, with every reason.
    """
    values = {**DEFAULT_VARIABLES, **variables}
    found = [policy for path in paths or [data_root()] for policy in _read(path, values, given=variables)]
    if not found:
        raise ScriptError(f"{', '.join(map(str, paths))}: no alert policy here")
    return found


def chosen(policies: Sequence[Policy], name: str) -> Policy:
    """The policy of that file name or display name.

    Raises:
        ScriptError: There is none, or there are several.
    """
    matching = [one for one in policies if name in {one.key, one.display_name}]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ScriptError(f"several policies are called {name}: {', '.join(one.origin for one in matching)}")
    known = [one.key for one in policies] + [one.display_name for one in policies]
    names = ", ".join(sorted({one.key for one in policies}))
    raise ScriptError(f"there is no policy {name}{closest(name, known)} (there are {names})")


def _read(path: Path, values: Mapping[str, Any], *, given: Mapping[str, Any]) -> Iterator[Policy]:
    content = _content(path)
    if isinstance(content, dict) and ("planned_values" in content or "terraform_version" in content):
        for address, data in policies_of_plan(content):
            yield _checked(address, data, f"{path} ({address})")
        return
    exported = _exported(content)
    if exported:
        for data in exported:
            yield _checked(path.name.partition(".")[0], data, str(path))
        return
    try:
        # Values that only the defaults give must not be told as unused.
        definitions = load(
            path, {key: value for key, value in values.items() if key in DEFAULT_VARIABLES} | dict(given)
        )
    except DefinitionError as error:
        raise ScriptError(str(error)) from error
    for one in definitions:
        if one.kind == "policy":
            yield Policy(one.key, one.message(), str(one.file))


def _content(path: Path) -> Any:
    """The decoded file when it may be a plan or an export; None for folders and templates."""
    if not path.is_file() or path.suffix not in {".json", ".yaml", ".yml"}:
        return None
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError):
        return None  # `load` says what is wrong, with the line


def _exported(content: Any) -> list[dict[str, Any]]:
    """What `gcloud monitoring policies list` or `describe` and the REST API answer; empty for anything else."""
    if isinstance(content, dict) and isinstance(content.get("alertPolicies"), list):
        content = content["alertPolicies"]
    if isinstance(content, dict):
        content = [content] if "conditions" in content and "name" in content else []
    if not isinstance(content, list):
        return []
    policies: Iterable[Any] = content
    return [one for one in policies if isinstance(one, dict) and "conditions" in one]


def policies_of_export(content: Any, origin: str) -> list[Policy]:
    """The policies of an answer of the API; their keys are their display names.

    Raises:
        ScriptError: One of them cannot be used.
    """
    return [_checked(str(data.get("displayName", "")), data, origin) for data in _exported(content)]


def _checked(key: str, data: Mapping[str, Any], origin: str) -> Policy:
    kept = {name: value for name, value in data.items() if name not in _SERVER_SIDE}
    kept["conditions"] = [
        {name: value for name, value in condition.items() if name != "name"} for condition in data["conditions"]
    ]
    wrong = [f"{origin}: {one.path}: {one.reason}" for one in problems(kept, AlertPolicy.DESCRIPTOR)]
    if wrong:
        raise ScriptError("\n".join(wrong))
    message = json_format.ParseDict(kept, AlertPolicy())
    try:
        check_policy(message, None, None)
    except ApiError as error:
        raise ScriptError(f"{origin}: {error.message}") from error
    return Policy(key, message, origin)
