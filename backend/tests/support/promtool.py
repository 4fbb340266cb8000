"""promtool as a second opinion: the same series and queries, and what Prometheus itself computes."""

import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.emulator.promql.model import Labels
from support.promql_script import Case, labels_of, millis
from support.tools import tool

# No query can give this label, so every case "fails" and promtool prints what it got, with all digits.
_NEVER = '{oracle="asks"}'
_SAMPLE = re.compile(r'(?P<labels>\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}) (?P<value>[^\s,]+)')
_REPORT = re.compile(
    r'^\s*expr: (?P<expr>"(?:[^"\\]|\\.)*"), time: (?P<time>\w+),(?P<rest>(?:(?!^\s*expr: ).*\n?)*)', re.MULTILINE
)

Answer = list[tuple[Labels, float]] | str


def answers(cases: Sequence[Case]) -> dict[str, Answer]:
    """By the place of a case: the samples promtool computes, or its error."""
    loads: dict[int, list[Case]] = {}
    for case in cases:
        loads.setdefault(id(case.load), []).append(case)
    found: dict[str, Answer] = {}
    for same in loads.values():
        found |= _asked(same)
    return found


def _asked(cases: Sequence[Case]) -> dict[str, Answer]:
    load = cases[0].load
    test = {
        "interval": load.interval,
        "input_series": [{"series": name, "values": values} for name, values in load.lines],
        "promql_expr_test": [
            {"expr": case.query, "eval_time": case.at, "exp_samples": [{"labels": _NEVER, "value": 1}]}
            for case in cases
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "test.yaml")
        path.write_text(json.dumps({"rule_files": [], "evaluation_interval": "1m", "tests": [test]}))
        done = subprocess.run(
            [tool("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
        )
    reports: dict[tuple[str, int], Answer] = {}
    for match in _REPORT.finditer(done.stdout + done.stderr):
        reports[_go(match["expr"]), millis(match["time"])] = _answer(match["rest"])
    return {case.place: reports[case.query, millis(case.at)] for case in cases}


def _go(literal: str) -> str:
    text: str = json.loads(re.sub(r"\\x([0-9a-f]{2})", r"\\u00\1", literal))
    return text


def _answer(rest: str) -> Answer:
    if "exp:" not in rest:
        return rest.strip()
    got = rest.partition("got:")[2]
    return [(labels_of(sample["labels"]), float(sample["value"])) for sample in _SAMPLE.finditer(got)]
