"""How we know what the real API does: every test of a rule carries one of these marks."""

from collections.abc import Callable
from typing import TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., object])


def known_from(*, docs: str = "", issue: str = "", proto: str = "", recorded: str = "") -> Callable[[Test], Test]:
    """The rule is public: a documentation page, an issue, a published proto file, or an answer recorded on a date."""
    sources = {"docs": docs, "issue": issue, "proto": proto, "recorded": recorded}
    given = {kind: source for kind, source in sources.items() if source}
    if not given:
        raise ValueError("known_from needs a source: docs, issue, proto or recorded")
    return pytest.mark.known_from(**given)


def our_choice(why: str) -> Callable[[Test], Test]:
    """Google does not publish this behaviour; we chose it, for this reason."""
    if not why:
        raise ValueError("our_choice needs a reason")
    return pytest.mark.our_choice(why=why)
