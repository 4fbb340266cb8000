"""What is lost at the end is one line, by signal."""

import json
import threading

import pytest

from app.core import guard
from app.core.farewell import MESSAGE, Farewell


@pytest.fixture
def told(monkeypatch):
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(guard, "warn", lambda message, **fields: lines.append({"message": message, **fields}))
    return lines


def test_several_parts_that_end_together_tell_it_in_one_line(told):
    farewell = Farewell()
    with farewell.collecting():
        with farewell.collecting():
            farewell.lost("metrics", "3 series", metrics=["http_request_total"])
        farewell.lost("logs", "7 entries")
        farewell.lost("traces", "2 spans")
    assert told[0]["lost"] == {"metrics": "3 series"}
    assert told[1] == {"message": MESSAGE, "lost": {"logs": "7 entries", "traces": "2 spans"}}
    assert len(told) == 2
    assert json.dumps(told)


def test_beside_that_it_is_told_at_once_and_never_twice(told):
    farewell = Farewell()
    farewell.lost("logs", "1 entries")
    with farewell.collecting():
        pass
    assert told == [{"message": MESSAGE, "lost": {"logs": "1 entries"}}]


def test_what_is_told_from_many_threads_is_told_once_each(told):
    farewell = Farewell()
    threads = [threading.Thread(target=farewell.lost, args=("logs", f"{number} entries")) for number in range(8)]
    with farewell.collecting():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(told) == 1
