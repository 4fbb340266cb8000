import httpx

from support.emulator import running_emulator


def test_a_runbook_is_a_page_without_markup_of_its_own():
    with running_emulator() as emulator:
        answer = httpx.get(f"{emulator.http}/runbooks/high_error_rate.md")
        assert answer.status_code == 200
        assert "<h1>High error rate</h1>" in answer.text
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert 'href="../' not in answer.text


def test_an_unknown_runbook_names_those_there_are():
    with running_emulator() as emulator:
        for name in ("nothing.md", "..%2F..%2FREADME.md"):
            answer = httpx.get(f"{emulator.http}/runbooks/{name}")
            assert answer.status_code == 404
        assert "high_error_rate.md" in httpx.get(f"{emulator.http}/runbooks/nothing.md").text
