"""Whether the emulator has exactly what was sent.

Refused requests (429) are held against each other without their routes: a limit refuses before there is a route.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from .traffic import Ledger

Counts = Mapping[tuple[str, str, int], int]


@dataclass(frozen=True)
class Comparison:
    """What was sent, what arrived, and where the two differ."""

    sent: int
    unanswered: int
    counted: int
    entries: int
    differences: tuple[str, ...]

    def __str__(self) -> str:
        line = f"requests answered {self.sent}, counted by metrics {self.counted}, access entries {self.entries}"
        if self.unanswered:
            line += f"; {self.unanswered} had no answer"
        return line + (": equal" if not self.differences else ": NOT equal")


def compare(ledger: Ledger, counted: Counts, entries: Mapping[str, int]) -> Comparison:
    """Hold the ledger against the emulator: metrics by (route, method, status), access entries by story."""
    sent, arrived = _without_routes_of_refused(ledger.by_route()), _without_routes_of_refused(counted)
    told = ledger.by_story()
    differences = [
        f"{' '.join(map(str, key))}: sent {sent[key]}, counted {arrived[key]}"
        for key in sorted({*sent, *arrived})
        if sent[key] != arrived[key]
    ]
    differences += [
        f"story {story}: sent {told[story]}, access entries {entries.get(story, 0)}"
        for story in sorted({*told, *entries})
        if told[story] != entries.get(story, 0)
    ]
    return Comparison(sent.total(), ledger.unanswered, arrived.total(), sum(entries.values()), tuple(differences))


def _without_routes_of_refused(counts: Counts) -> Counter[tuple[str, str, int]]:
    found: Counter[tuple[str, str, int]] = Counter()
    for (route, method, status), count in counts.items():
        found["any route" if status == HTTPStatus.TOO_MANY_REQUESTS else route, method, status] += count
    return found
