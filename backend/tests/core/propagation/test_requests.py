import pickle

import pytest
import requests
from requests.adapters import HTTPAdapter

from app.core.propagation import headers as outgoing
from app.core.propagation import outgoing_headers, request_context
from app.core.propagation.requests import propagate_requests
from support.recording import HERE

ID = "x-request-id"


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        yield propagate_requests(session, [HERE])


def test_a_named_host_gets_the_ids(session, ours, job):
    session.get(ours.url)
    [seen] = ours.seen
    assert {name: seen.get_all(name) for name in outgoing_headers()} == {
        name: [value] for name, value in outgoing_headers().items()
    }


def test_a_host_that_is_not_named_gets_nothing(session, foreign, job):
    session.get(foreign.url)
    assert foreign.seen[0][ID] is foreign.seen[0]["traceparent"] is None


def test_outside_of_a_request_nothing_is_sent(session, ours):
    session.get(ours.url)
    assert ours.seen[0][ID] is None


def test_a_redirect_to_a_foreign_host_goes_without_the_ids_and_one_back_has_them(session, ours, foreign, job):
    session.get(ours.redirecting_to(foreign.url, ours.url))
    assert [seen[ID] for seen in ours.seen] == ["req-1", "req-1"]
    assert [seen[ID] for seen in foreign.seen] == [None]
    assert [seen["traceparent"] for seen in foreign.seen] == [None]


def test_a_redirect_that_the_caller_follows_by_hand_goes_without_them_as_well(session, ours, foreign, job):
    answer = session.get(ours.redirecting_to(foreign.url), allow_redirects=False)
    session.send(answer.next)
    assert ours.seen[0][ID] == "req-1"
    assert foreign.seen[0][ID] is None


def test_a_header_that_the_caller_sets_is_left_alone(session, ours, foreign, job):
    session.get(ours.redirecting_to(foreign.url), headers={"X-Request-Id": "of-the-caller"})
    assert [seen.get_all(ID) for seen in ours.seen + foreign.seen] == [["of-the-caller"]] * 2
    assert foreign.seen[0]["traceparent"] is None


def test_asked_again_the_session_knows_more_hosts(session, ours, foreign, job):
    assert propagate_requests(session, "127.0.0.2") is session
    session.get(ours.redirecting_to(foreign.url))
    assert [seen.get_all(ID) for seen in ours.seen + foreign.seen] == [["req-1"]] * 2


def test_an_adapter_that_is_mounted_later_is_used_and_seen_through(session, ours, foreign, job):
    used = []

    class Adapter(HTTPAdapter):
        def send(self, request, *args, **options):
            used.append(request.url)
            return super().send(request, *args, **options)

    session.mount(foreign.url, Adapter())
    session.get(ours.redirecting_to(foreign.url))
    assert len(used) == 1
    assert foreign.seen[0][ID] is None


@pytest.mark.parametrize("trick", ["http://{allowed}@{host}", "http://{host}#@{allowed}", "http://{host}\\@{allowed}"])
def test_the_host_is_the_one_that_is_called_not_one_that_the_url_shows(session, foreign, job, trick):
    url = trick.format(allowed=HERE, host=foreign.url.removeprefix("http://"))
    try:
        session.get(url, timeout=2)
    except requests.RequestException:
        assert "\\" in url
    assert [seen[ID] for seen in foreign.seen if seen[ID] is not None] == []


def test_each_call_of_a_session_carries_the_ids_of_its_own_job(session, ours):
    for name in ("one", "two"):
        with request_context(request_id=name):
            session.get(ours.url)
    session.get(ours.url)
    assert [seen[ID] for seen in ours.seen] == ["one", "two", None]


def test_a_session_can_still_be_pickled(session):
    assert pickle.loads(pickle.dumps(session)).trust_env is False


def test_a_failure_of_ours_does_not_fail_the_call(session, ours, job, monkeypatch, internal_failures):
    def broken(_context: object) -> str:
        raise RuntimeError("planted")

    monkeypatch.setattr(outgoing, "traceparent", broken)
    assert session.get(ours.url).status_code == 200
    assert [(where, str(error)) for where, error in internal_failures] == [("propagation", "planted")]
    internal_failures.clear()
