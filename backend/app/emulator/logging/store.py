"""Log entries in memory, in the order in which they are listed."""

import threading
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Mapping
from operator import attrgetter

from .record import Record

# What is gone still takes its memory until the list is cut, so that is done early; but not for each entry.
_SHARE_OF_GONE = 20
_KEY = attrgetter("key")
_TIME = attrgetter("time")


class EntryStore:
    """Entries ordered by (timestamp, insertId), at most `entries` of them and `size` bytes; the oldest go first."""

    def __init__(self, entries: int, size: int) -> None:
        self.evicted = 0
        """How many entries gave way to newer ones."""
        self.expired = 0
        """How many were too old for their buckets."""
        self.evicted_until = 0
        """The newest timestamp (ns) of what went either way."""
        self._entries = entries
        self._size = size
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._first = 0  # evicted places before it are cut off now and then, not one by one
        self._bytes = 0
        self._logs: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._records) - self._first

    @property
    def nbytes(self) -> int:
        """What the entries take in memory, estimated."""
        return self._bytes

    def add(self, records: list[Record]) -> None:
        """Keep entries; one with the timestamp and insertId of a kept one is a duplicate and left out."""
        with self._lock:
            for record in records:
                self._add(record)
            while len(self) > self._entries or self._bytes > self._size:
                self._evict()

    def _add(self, record: Record) -> None:
        known = self._records
        if len(self) == 0 or known[-1].key < record.key:
            known.append(record)
        else:
            at = bisect_left(known, record.key, lo=self._first, key=_KEY)
            if at < len(known) and known[at].key == record.key:
                return
            insort(known, record, lo=self._first, key=_KEY)
        self._bytes += record.size
        self._logs[record.log_name] += 1

    def _evict(self) -> None:
        oldest = self._records[self._first]
        self._forget(oldest)
        self._first += 1
        self.evicted += 1
        self.evicted_until = max(self.evicted_until, oldest.time)
        if self._first > len(self._records) // _SHARE_OF_GONE:
            del self._records[: self._first]
            self._first = 0

    def expire(self, horizons: Mapping[str, int]) -> None:
        """Forget entries that are older than the horizon (ns) of each of their buckets."""
        with self._lock:
            end = bisect_left(self._records, max(horizons.values(), default=0), lo=self._first, key=_TIME)
            kept = []
            for record in self._records[self._first : end]:
                if any(record.time >= horizons.get(bucket, 0) for bucket in record.buckets):
                    kept.append(record)
                else:
                    self._forget(record)
                    self.expired += 1
                    self.evicted_until = max(self.evicted_until, record.time)
            if len(kept) < end - self._first:
                self._records[:end] = kept
                self._first = 0

    @property
    def gone_until(self) -> int:
        """No entry with this timestamp (ns) or an older one is left."""
        with self._lock:
            return min(self.evicted_until, self._records[self._first].time - 1) if len(self) else self.evicted_until

    def _forget(self, record: Record) -> None:
        self._bytes -= record.size
        name = record.log_name
        self._logs[name] -= 1
        if not self._logs[name]:
            del self._logs[name]

    def window(self, start: int, end: int) -> list[Record]:
        """Entries with start <= timestamp <= end (ns), oldest first."""
        with self._lock:
            low = bisect_left(self._records, start, lo=self._first, key=_TIME)
            high = bisect_right(self._records, end, lo=self._first, key=_TIME)
            return self._records[low:high]

    def log_names(self, holds: Callable[[Record], bool] | None = None) -> list[str]:
        """The logs that have entries, or such entries as `holds` takes."""
        with self._lock:
            if holds is None:
                return sorted(self._logs)
            return sorted({record.log_name for record in self._records[self._first :] if holds(record)})

    def delete(self, log_name: str, bucket: str) -> int:
        """Take every entry of a log out of a bucket; how many there were."""
        return self._take_out(bucket, lambda record: record.log_name == log_name)

    def forget_bucket(self, bucket: str) -> None:
        """Take everything out of a bucket."""
        self._take_out(bucket, lambda _: True)

    def bucket_is_empty(self, bucket: str) -> bool:
        with self._lock:
            return not any(bucket in record.buckets for record in self._records[self._first :])

    def _take_out(self, bucket: str, chosen: Callable[[Record], bool]) -> int:
        with self._lock:
            kept = []
            taken = 0
            for record in self._records[self._first :]:
                if bucket in record.buckets and chosen(record):
                    taken += 1
                    record.buckets = tuple(name for name in record.buckets if name != bucket)
                    if not record.buckets:
                        self._forget(record)
                        continue
                kept.append(record)
            self._records, self._first = kept, 0
            return taken
