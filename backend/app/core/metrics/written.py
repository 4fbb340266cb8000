"""What the back end knows of one series, as far as we know."""

from typing import NamedTuple

from .cells import Cell, Series

MAX_SERIES_PER_CALL = 200  # google/monitoring/v3/metric_service.proto, CreateTimeSeriesRequest.time_series


class Written:
    """Kept in `Series.state` by the exporter. Times in nanoseconds since the epoch.

    Attributes:
        prefix: The unchanging bytes of the series, from `Encoding.prefix`.
        start: Since when it counts; never moves while the series lives.
        value: The last accepted value; zeros before the first.
        sent: The last value that may have arrived, whatever the answer; never more than what was counted.
        end: When that was; 0 before the first.
        changed: End of the last collection that found another value than the one before.
        not_before: The first moment the API takes a point, where a retired series of the same labels came before.
        strikes: Refusals in a row for a reason of its own.
        again: Set aside until then.
        together: How many series may share its call; fewer while one of a call is sought that spoils it.
    """

    __slots__ = ("again", "changed", "end", "not_before", "prefix", "sent", "start", "strikes", "together", "value")

    def __init__(self, prefix: bytes, start: int, value: Cell, not_before: int = 0) -> None:
        self.prefix = prefix
        self.start = start
        self.value = value
        self.sent = value
        self.end = 0
        self.changed = 0
        self.not_before = not_before
        self.strikes = 0
        self.again = 0
        self.together = MAX_SERIES_PER_CALL


class Item(NamedTuple):
    """One series to be written, with the value it shall have."""

    series: Series
    written: Written
    cell: Cell
