import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.metrics import MetricsClient, catalogue, guards
from app.core.metrics.cells import Series, Store
from app.core.metrics.heavy import HeavyHitters
from app.core.metrics.labels import Labels
from app.core.metrics.requests import RequestMetrics

EXCEEDED = catalogue.own()["rate_limit_exceeded_total"]
LOCKOUTS = catalogue.own()["brute_force_lockouts_total"]
LATENCY = catalogue.own()["rate_limit_middleware_latency_ms"]
NAME = "rate_limit_exceeded_total"


class Ledger:
    """What an exporter has been given: the last value of each series, the ended ones included."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.last: dict[Series, float] = {}
        self.ended: set[Series] = set()

    def collect(self) -> None:
        for series, cell in self._store.snapshot():
            value = sum(cell[:-1]) if series.metric.kind == "histogram" else cell[0]
            assert series not in self.ended, "a series came back after its end"
            assert value >= self.last.get(series, 0.0), "a rate would be negative"
            self.last[series] = value
            if series.retired:
                self.ended.add(series)

    def total(self, name: str = NAME) -> float:
        return sum(value for series, value in self.last.items() if series.metric.name == name)

    def by(self, position: int, name: str = NAME) -> Counter[str]:
        found: Counter[str] = Counter()
        for series, value in self.last.items():
            if series.metric.name == name:
                found[series.values[position]] += int(value)
        return found


@pytest.fixture
def store():
    made = Store()
    made.labels = Labels()
    made.routes.add("/login")
    return made


@pytest.fixture
def ledger(store):
    return Ledger(store)


@pytest.fixture
def exceeded(store):
    family = MetricsClient(store).counter(NAME)
    return lambda address, times=1.0, endpoint="/login": family.labels(endpoint=endpoint, ip_address=address).add(times)


def _address(number: int) -> str:
    return f"{10 + (number >> 24)}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _living(store, name=NAME):
    return {series.values: series.cell[0] for series in store.series if series.metric.name == name}


def test_while_there_is_room_every_value_is_told_apart_at_once(store, exceeded):
    for number in range(20):
        exceeded(_address(number))
    assert _living(store) == {("/login", _address(number)): 1.0 for number in range(20)}


def test_what_is_beyond_is_other_and_nothing_is_lost(store, exceeded, ledger):
    for number in range(1000):
        exceeded(_address(number), 2.0)
    ledger.collect()
    assert ledger.total() == 2000.0
    assert ledger.by(1)["other"] == 2000 - 20 * 2
    assert len(_living(store)) == 21


def test_a_new_heavy_value_is_told_within_the_interval_with_all_that_it_did(store, exceeded, ledger):
    for number in range(20):
        exceeded(_address(number), 1000.0)
    ledger.collect()
    for number in range(5000):
        exceeded(_address(100 + number))
        if number % 50 == 0:
            exceeded("203.0.113.9")
    ledger.collect()
    # What came before its first request was looked at is `other`; the rest is its own.
    assert 50 <= ledger.by(1)["203.0.113.9"] <= 100
    assert ledger.total() == 20_000 + 5100


def test_one_in_a_thousand_is_found_where_all_others_come_once():
    folded: list[float] = []
    table = HeavyHitters(
        20, lambda: [0.0], lambda entry: folded.append(entry.cell[0]), lambda _entry: None, random.Random(5).random
    )
    for number in range(20):
        table.touch((f"quiet-{number}",), 1.0)
    table.settle()
    for number in range(50_000):
        for key in ((f"once-{number}",), *([("often",)] if number % 1000 == 0 else [])):
            entry = table.touch(key, 1.0)
            if entry is not None:
                entry.cell[0] += 1.0
    table.settle()
    [often] = [entry for entry in table.admitted if entry.key == ("often",)]
    assert often.cell[0] > 10


def test_those_who_are_quiet_stay_when_nobody_is_heavier_than_chance(store, exceeded, ledger):
    for number in range(20):
        exceeded(f"203.0.113.{number}", 100.0)
    ledger.collect()
    for number in range(20_000):
        exceeded(_address(number))
    ledger.collect()
    assert not ledger.ended


def test_a_series_that_is_there_already_takes_what_waited_for_it(store, exceeded, ledger):
    for number in range(20):
        exceeded(_address(number))
    exceeded("203.0.113.9", 50.0)  # waits for the end of the interval
    held = store.find("", EXCEEDED, ("/login", "203.0.113.9"))
    held.cell[0] += 1
    ledger.collect()
    exceeded("203.0.113.9", 5.0)
    assert held.cell == [56.0]


def test_six_lockouts_of_a_new_address_are_all_its_own(store, ledger):
    lockouts = MetricsClient(store).counter(LOCKOUTS.name)
    for number in range(20):
        lockouts.labels(ip_address=_address(number), account=f"user-{number}").add()
    ledger.collect()
    for _ in range(6):
        lockouts.labels(ip_address="203.0.113.9", account="ada@example.com").add()
    ledger.collect()
    assert ledger.by(1, LOCKOUTS.name)["203.0.113.9"] == 6


def test_an_evicted_series_ends_and_a_readmitted_one_is_another_that_starts_from_zero(store, exceeded, ledger):
    exceeded("203.0.113.9", 50.0)
    for number in range(19):
        exceeded(_address(number), 100.0)
    ledger.collect()
    [first] = [series for series in store.series if series.values[1] == "203.0.113.9"]
    for number in range(20):
        exceeded(_address(number), 100.0)
    ledger.collect()
    assert first.retired
    assert (first in ledger.ended, ledger.last[first]) == (True, 50.0)
    for number in range(19):
        exceeded(_address(number), 1.0)
    exceeded("203.0.113.9", 10.0)
    ledger.collect()
    [again] = [series for series in store.series if series.values[1] == "203.0.113.9"]
    assert again is not first
    assert (again.open, again.retired, again.cell) == (True, False, [10.0])


def test_an_address_that_rotates_accounts_is_told_and_so_is_an_account_tried_from_everywhere(store, ledger):
    lockouts = MetricsClient(store).counter(LOCKOUTS.name)
    for number in range(500):
        lockouts.labels(ip_address="203.0.113.9", account=f"user-{number}").add()
        lockouts.labels(ip_address=_address(number), account="root@example.com").add()
    ledger.collect()
    account = store.labels.account("root@example.com")
    assert ledger.total(LOCKOUTS.name) == 1000
    assert ledger.by(1, LOCKOUTS.name)["203.0.113.9"] >= 499
    assert ledger.by(0, LOCKOUTS.name)[account] >= 490


def test_who_rotates_addresses_does_not_push_out_those_who_are_heavier(store, exceeded, ledger):
    heavy = [f"203.0.113.{number}" for number in range(10)]
    for interval in range(10):
        for number in range(2000):
            exceeded(heavy[number % 10])
            exceeded(_address(interval * 2000 + number))  # every one of them new
        ledger.collect()
    living = {address for _endpoint, address in _living(store)}
    assert set(heavy) <= living
    assert len(ledger.ended) <= 10 * 20


def test_those_who_stay_just_below_are_other_and_their_sum_is_exact(store, exceeded, ledger):
    for number in range(20):
        exceeded(f"203.0.113.{number}", 100.0)
    for number in range(200):
        exceeded(_address(number), 99.0)
    ledger.collect()
    assert ledger.total() == 20 * 100 + 200 * 99
    assert ledger.by(1)["other"] == 200 * 99


def test_a_route_that_exists_never_folds_whatever_was_guessed_before(store, exceeded, ledger):
    for number in range(3000):
        exceeded(_address(number), endpoint=f"/guess/{number}")
    store.routes.add("/new")
    for number in range(500):
        exceeded(_address(number), endpoint="/new")
    ledger.collect()
    assert ledger.by(0)["/new"] == 500
    assert ledger.total() == 3500


def test_what_an_instrument_holds_is_not_retired_behind_its_back(store, ledger):
    latency = MetricsClient(store).histogram(LATENCY.name)
    latency.labels(endpoint="/new").observe(1.0)  # told apart by the guard: no route yet
    store.routes.add("/new")
    bound = latency.labels(endpoint="/new")
    bound.observe(1.0)
    for _ in range(3):
        for number in range(200):
            latency.labels(endpoint=f"/guess/{number}").observe(1.0)
        ledger.collect()
    bound.observe(1.0)
    ledger.collect()
    assert ledger.by(0, LATENCY.name)["/new"] == 3
    assert ledger.total(LATENCY.name) == 603


def test_only_the_word_of_the_router_makes_a_route(store):
    MetricsClient(store).gauge("websocket_connections", {"endpoint": "/guess"}).add()
    MetricsClient(store).histogram(LATENCY.name, {"endpoint": "/guess"}).observe(1.0)
    assert store.routes == {"/login"}
    RequestMetrics(store, "items").cells("GET", "/items/{item_id}", 200, "ok")
    MetricsClient(store, trusted=True).gauge("websocket_connections", {"endpoint": "/ws"}).add()
    assert store.routes == {"/login", "/items/{item_id}", "/ws"}


def test_a_histogram_folds_whole(store, ledger):
    latency = MetricsClient(store).histogram(LATENCY.name)
    for number in range(500):
        latency.labels(endpoint=f"/guess/{number}").observe(0.3)
    ledger.collect()
    cells = [series.cell for series in store.series if series.metric is LATENCY]
    assert ledger.total(LATENCY.name) == 500
    assert sum(cell[-1] for cell in cells) == pytest.approx(150.0)
    assert len(cells) == 21


def test_names_given_in_code_may_be_many_but_not_without_end(store, ledger):
    attempts = MetricsClient(store).counter("auth_login_attempts_total")
    for number in range(1000):
        attempts.labels(status="success", user_role=f"role-{number}").add()
    ledger.collect()
    assert ledger.total("auth_login_attempts_total") == 1000
    assert len(_living(store, "auth_login_attempts_total")) <= 121


def test_what_a_guard_folds_is_counted(store, exceeded):
    for number in range(100):
        exceeded(_address(number))
    list(store.snapshot())
    assert _living(store, "cloudops_guard_trips_total") == {(NAME,): 80.0}


def test_a_gauge_and_a_closed_metric_have_no_guard(store):
    client = MetricsClient(store)
    client.gauge("websocket_connections", {"endpoint": "/never/seen"}).add()
    client.counter("auth_token_refresh_total", {"status": "success"}).add()
    assert store.guards == {}


def test_how_many_are_told_apart_is_a_setting(store, exceeded, ledger):
    exceeded("203.0.113.9")
    store.labels = Labels(keep=2)
    for number in range(100):
        exceeded(_address(number))
    ledger.collect()
    assert len(_living(store)) == 3


def test_a_forked_child_starts_with_nothing_of_the_guards(store, exceeded):
    for number in range(100):
        exceeded(_address(number))
    store.reset_after_fork()
    assert store.dropped_before_fork == 100.0
    assert _living(store) == {}
    exceeded("203.0.113.9")
    assert _living(store) == {("/login", "203.0.113.9"): 1.0}


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["/login", "/a", "/b", "other"]), st.integers(0, 40), st.integers(1, 9)),
        st.none(),  # a collection
        st.just("known"),
    ),
    max_size=400,
)


@settings(max_examples=200, deadline=None)
@given(EVENTS, st.integers(1, 5))
def test_every_increment_is_in_exactly_one_series(events, keep):
    store = Store()
    store.labels = Labels(keep=keep)
    ledger = Ledger(store)
    family = MetricsClient(store).counter(NAME)
    total = 0
    for event in events:
        if event is None:
            ledger.collect()
        elif event == "known":
            store.routes.add("/a")
        else:
            endpoint, number, amount = event
            address = "other" if number == 40 else _address(number)
            family.labels(endpoint=endpoint, ip_address=address).add(amount)
            total += amount
    ledger.collect()
    assert ledger.total() == total
    # The combinations, the single values of each open label, and what is folded for each route.
    assert len(_living(store)) <= 3 * keep + 4


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_flood_of_a_million_made_up_requests_stays_small_exact_and_readable(store, ledger):
    chance = random.Random(7)
    requests = RequestMetrics(store, "items")
    deciding = guards.of(store, "", EXCEEDED)
    errors = guards.of(store, "", catalogue.own()["errors_total"])
    for number in range(30):  # what is there before
        deciding.cell((f"/start/{number}", _address(number)))[0] += 1
    before = _resident()
    bits = chance.getrandbits
    for number in range(1_000_000):
        drawn = bits(56)
        address = (
            "203.0.113.9" if number % 100 == 0 else "203.0.113.8" if number % 200 == 1 else _address(drawn & 0x3FFFFFFF)
        )
        deciding.cell(("/login", address))[0] += 1
        if number % 10 == 0:
            errors.cell((f"Error{drawn}",))[0] += 1
            cells = requests.cells(f"M{drawn}", "", 404, "client_error")
            cells.total[0] += 1
        if number % 2000 == 0:
            requests.cells("GET", "/never/seen", 500, "server_error").total[0] += 1
        if number % 250_000 == 249_999:
            ledger.collect()
    ledger.collect()
    grown = _resident() - before
    per_metric = Counter(series.metric.name for series in ledger.last)
    assert max(per_metric.values()) <= 1000
    assert grown < 10_000_000
    assert ledger.total() == 1_000_030
    assert ledger.total("errors_total") == 100_000
    assert ledger.by(1)["203.0.113.9"] > 9_000
    assert ledger.by(1)["203.0.113.8"] > 4_000
    total = {
        series.values: value for series, value in ledger.last.items() if series.metric.name == "http_request_total"
    }
    assert total["/never/seen", "GET", "server_error", "500"] == 500
