"""Which errors are the same, and how often one is told: an error in a loop must not become a bill."""

import traceback
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

#: A whole event is written this often for one error in one window; the rest are counted.
EVENTS_PER_WINDOW: Final = 10
WINDOW_SECONDS: Final = 60.0
_FRAMES: Final = 3
_REMEMBERED: Final = 512


def fingerprint(error: BaseException) -> str:
    """The exception's type and where it was raised; its text may differ each time."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = ";".join(f"{frame.filename}:{frame.name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__module__}.{type(error).__qualname__}|{places}"


@dataclass(slots=True)
class _Window:
    began: float
    written: int = 0
    counted: int = 0


class Repetitions:
    """Decides whether an error is written once more. Bounded: the longest unseen is forgotten first."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def admit(self, key: str, now: float) -> int | None:
        """How many were only counted since the last one that was written; None: count this one too."""
        window = self._windows.get(key)
        if window is None or now - window.began >= WINDOW_SECONDS:
            counted = window.counted if window is not None else 0
            self._windows[key] = _Window(now, written=1)
            self._windows.move_to_end(key)
            if len(self._windows) > _REMEMBERED:
                self._windows.popitem(last=False)
            return counted
        if window.written < EVENTS_PER_WINDOW:
            window.written += 1
            return 0
        window.counted += 1
        return None
