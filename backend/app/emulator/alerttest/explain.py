"""What a policy saw at each step: values, which series violated, since when."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..alerting.conditions import PROMQL, THRESHOLD, duration_of, kind_of, threshold_of
from ..alerting.messages import Raw
from ..alerting.watches import Step
from ..clock import NANOS
from .notation import duration_text
from .sides import compared_values

if TYPE_CHECKING:
    from ..promql.model import SampleSource


class Row(NamedTuple):
    at: float
    policy: str
    condition: str
    labels: str
    value: str
    verdict: str


class Explanation:
    """Collects the evaluations of a case; `on_step` of an evaluator."""

    def __init__(self, start: int) -> None:
        self._start = start
        self.source: SampleSource | None = None
        """Where PromQL conditions look; without it only what violates is shown."""
        self._rows: list[Row] = []
        self._compared: dict[tuple[str, str], list[str]] = {}

    def add(self, step: Step) -> None:
        at = self._seconds(step.at)
        head = (at, step.policy.display_name, step.condition.display_name)
        if step.watch.error:
            self._rows.append(Row(*head, "", "", f"error: {step.watch.error}"))
            return
        duration = duration_of(step.condition)
        for track in step.watch.tracks.values():
            labels = ", ".join(f"{key}={value}" for key, value in sorted(track.seen.labels.items()))
            value = f"{track.seen.value:g}" if track.present else "no data"
            verdict = "ok"
            if track.since is not None:
                since = duration_text(self._seconds(track.since))
                state = (
                    "met" if track.met else f"pending, met at {duration_text(self._seconds(track.since + duration))}"
                )
                verdict = f"violates since {since}: {state}"
            if track.seen.note:
                verdict += f" ({track.seen.note})"
            self._rows.append(Row(*head, labels, value + _compared(step.condition), verdict))
        compared: list[tuple[str, list[str]]] = []
        if kind_of(step.condition) == PROMQL and self.source is not None:
            query = step.condition.condition_prometheus_query_language.query
            compared = compared_values(query, self.source, step.at)
            texts = self._compared.setdefault(head[1:], [])
            texts += [text for text, _ in compared if text not in texts]
            self._rows += [
                Row(*head, "", "", f"[{texts.index(text) + 1}] {value}")
                for text, values in compared
                for value in values
            ]
        if not step.watch.tracks and not compared:
            nothing = "the query returns no series" if kind_of(step.condition) == PROMQL else "no series has data"
            self._rows.append(Row(*head, "", "", nothing))

    def lines(self) -> Iterator[str]:
        """A table for each condition; steps that say the same as the one before are drawn together."""
        for policy, condition in dict.fromkeys((row.policy, row.condition) for row in self._rows):
            rows = [row for row in self._rows if (row.policy, row.condition) == (policy, condition)]
            yield f"{policy} / {condition}"
            for index, text in enumerate(self._compared.get((policy, condition), []), start=1):
                yield f"  [{index}] {text}"
            times = sorted({row.at for row in rows})
            by_time: dict[float, list[tuple[str, str, str]]] = {at: [] for at in times}
            for row in rows:
                by_time[row.at].append((row.labels, row.value, row.verdict))
            width = max((len(row.value) for row in rows), default=0)
            first = 0
            while first < len(times):
                last = first
                while last + 1 < len(times) and by_time[times[last + 1]] == by_time[times[first]]:
                    last += 1
                span = duration_text(times[first]) + (f"..{duration_text(times[last])}" if last > first else "")
                for index, (labels, value, verdict) in enumerate(by_time[times[first]]):
                    shown = f"  {{{labels}}}" if labels else ""
                    yield f"  {span if index == 0 else '':<16} {value:<{width}}  {verdict}{shown}"
                first = last + 1

    def _seconds(self, moment: int) -> float:
        return (moment - self._start) / NANOS


def _compared(condition: Raw) -> str:
    threshold = threshold_of(condition)
    if threshold is None:
        return ""
    assert kind_of(condition) == THRESHOLD
    sign = "<" if condition.condition_threshold.comparison == 3 else ">"  # noqa: PLR2004  # COMPARISON_LT
    return f" {sign} {threshold:g}"
