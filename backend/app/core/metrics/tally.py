"""A number that many threads count up, and few read."""

from itertools import count


class Tally:
    """Counts without a lock: a step of `itertools.count` is one that no other thread can come between."""

    def __init__(self) -> None:
        numbers = count()
        self._next = numbers.__next__
        #: Counts one; what it returns is of no use.
        self.add = numbers.__next__
        self._asked = 0

    def total(self) -> int:
        """How many there were; to be asked under a lock."""
        total = self._next() - self._asked
        self._asked += 1
        return total
