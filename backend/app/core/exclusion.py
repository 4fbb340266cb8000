"""One rule for what is not worth telling: logs, metrics and traces leave out the same requests."""

from collections.abc import Iterable
from fnmatch import fnmatchcase


class Exclusion:
    """Route templates that are left out as long as they are answered well; a failing probe is always told.

    Args:
        patterns: Templates, whole: `/health/live`; `*` stands for anything: `/internal/*`.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        # Templates are a closed set, so this does not grow with what clients ask for.
        self._known: dict[str, bool] = {"": False}

    def covers(self, template: str) -> bool:
        covered = self._known.get(template)
        if covered is None:
            covered = any(fnmatchcase(template, pattern) for pattern in self._patterns)
            self._known[template] = covered
        return covered

    def add(self, template: str) -> None:
        """Leave out one more, which was learnt while the service runs."""
        self._known[template] = True
