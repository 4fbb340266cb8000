"""Both sides asked, answers made comparable, differences told."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from .probe import Probe, Run
from .probes import cleaning, listing, listing_of_policies
from .wire import Answer, Api, Wire

_TIME = re.compile(r"\d{4}[-/]\d\d[-/]\d\d[T-]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?")
_IDENTIFIER = re.compile(r"(?<=/)\d{6,}(?=/|$|\")")
_VOLATILE = frozenset({"etag", "creationRecord", "mutationRecord", "nextPageToken", "receiveTimestamp", "insertId"})
_CLEANING_TRIES = 3


class Difference(NamedTuple):
    """Where the emulator answers otherwise than the API."""

    probe: str
    wire: Wire
    what: Literal["code", "message", "answer"]
    emulator: str
    api: str


@dataclass(slots=True)
class Compared:
    probe: Probe
    wire: Wire
    request: Mapping[str, Any]
    emulator: Answer
    api: Answer
    differences: list[Difference] = field(default_factory=list)


def compare(
    probes: Sequence[Probe],
    wire: Wire,
    emulator: Api,
    api: Api,
    runs: tuple[Run, Run],
) -> Iterator[Compared]:
    """Ask both sides, the emulator first; `runs` are theirs in that order."""
    for probe in probes:
        request = probe.request(runs[1])
        ours = emulator.call(probe.method, probe.request(runs[0]))
        theirs = api.call(probe.method, request)
        found = Compared(probe, wire, plain(request, runs[1]), _plain(ours, runs[0]), _plain(theirs, runs[1]))
        found.differences = list(_differences(found))
        yield found


def _differences(one: Compared) -> Iterator[Difference]:
    ours, theirs = one.emulator, one.api
    if ours.code != theirs.code:
        yield Difference(
            one.probe.name, one.wire, "code", f"{ours.code}: {ours.message}", f"{theirs.code}: {theirs.message}"
        )
    elif ours.message != theirs.message:
        yield Difference(one.probe.name, one.wire, "message", ours.message, theirs.message)
    elif ours.code == "OK" and ours.body != theirs.body:
        yield Difference(one.probe.name, one.wire, "answer", str(ours.body), str(theirs.body))


def _plain(answer: Answer, run: Run) -> Answer:
    return Answer(answer.code, str(plain(answer.message, run)), plain(answer.body, run))


def plain(value: Any, run: Run) -> Any:
    """Without what differs from run to run: names, times, numbers given by the server."""
    if isinstance(value, Mapping):
        return {key: plain(one, run) for key, one in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        # Two hundred series that differ in a number would only fill the file.
        shown = [plain(one, run) for one in value[:3]]
        return shown if len(value) <= 3 else [*shown, f"... {len(value)} in all"]  # noqa: PLR2004  # as above
    if not isinstance(value, str):
        return value
    text = value.replace(run.name, "RUN").replace(run.project, "PROJECT")
    text = _IDENTIFIER.sub("NUMBER", _TIME.sub("TIME", text))
    return text if len(text) <= 2000 else f"{text[:100]}... {len(text)} characters"  # noqa: PLR2004  # readable


def clean(api: Api, run: Run, wait: Callable[[float], object] = time.sleep) -> list[str]:
    """Take away what a run wrote; answers what could not be."""
    method, request = listing(run)
    answer = api.call(method, request)
    types = [one["type"] for one in answer.body.get("metricDescriptors", ()) if one["type"].startswith(run.prefix)]
    # None should be there: every policy that is asked for is one that the API refuses.
    method, request = listing_of_policies(run)
    found_policies = api.call(method, request).body.get("alertPolicies", ())
    policies = [one["name"] for one in found_policies if one.get("displayName") == run.policy_name]
    left: list[str] = []
    for name, what in cleaning(run, types, policies):
        for attempt in range(_CLEANING_TRIES):
            found = api.call(name, what)
            if found.code in {"OK", "NOT_FOUND"}:
                break
            if attempt + 1 < _CLEANING_TRIES:
                wait(2.0**attempt)
        else:
            left.append(f"{next(iter(what.values()))}: {found.code} {found.message}")
    return left


def recorded(one: Compared, day: datetime) -> dict[str, Any]:
    """What is kept beside the tests: the real answer, and when it came."""
    return {
        "probe": one.probe.name,
        "method": one.probe.method,
        "wire": one.wire,
        "recorded": day.date().isoformat(),
        "request": one.request,
        "answer": {"code": one.api.code, "message": one.api.message, "body": one.api.body},
        "same": not one.differences,
    }
