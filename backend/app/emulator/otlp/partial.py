"""What a call did not take: counted, and told in `partial_success` (opentelemetry/proto/collector)."""

_MOST_REASONS = 10


class Rejected:
    """Counts of data points, log records or spans that were not stored, by reason."""

    def __init__(self) -> None:
        self.count = 0
        self._reasons: dict[str, int] = {}

    def add(self, reason: str, count: int = 1) -> None:
        self.count += count
        self._reasons[reason] = self._reasons.get(reason, 0) + count

    @property
    def message(self) -> str:
        told = [f"{reason} ({count})" for reason, count in list(self._reasons.items())[:_MOST_REASONS]]
        if len(self._reasons) > _MOST_REASONS:
            told.append(f"and {len(self._reasons) - _MOST_REASONS} more reasons")
        return "; ".join(told)
