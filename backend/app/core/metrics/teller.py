"""What there is to say about the export of metrics: at most one line a minute."""

from typing import TYPE_CHECKING, Final

from .. import guard
from ..farewell import farewell

if TYPE_CHECKING:
    from ..clock import Clock

_EVERY_SECONDS: Final = 60.0
_MOST_NAMES: Final = 10


class Teller:
    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._last = -_EVERY_SECONDS
        self._set_aside: list[dict[str, object]] = []
        self._unnamed = 0

    def set_aside(self, metric: str, labels: dict[str, str], answer: str) -> None:
        """A series was given up for a while; it is named in the next line, and not again."""
        if len(self._set_aside) < _MOST_NAMES:
            self._set_aside.append({"metric": metric, "labels": labels, "answer": answer})
        else:
            self._unnamed += 1

    def tell(self, message: str, **fields: object) -> None:
        """Write a warning, unless there was one within the last minute."""
        now = self._clock.monotonic()
        if now - self._last < _EVERY_SECONDS:
            return
        self._last = now
        if self._set_aside:
            fields["set_aside"] = self._set_aside
            if self._unnamed:
                fields["set_aside_more"] = self._unnamed
            self._set_aside, self._unnamed = [], 0
        guard.warn(f"fastapi-cloudops: {message}", **fields)

    def lost(self, what: str, **fields: object) -> None:
        """What was lost at the end of the process: always told."""
        farewell.lost("metrics", what, **fields)

    @property
    def owes(self) -> bool:
        """Whether a series still has to be named."""
        return bool(self._set_aside)
