import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette

from app.emulator.clock import NANOS, ManualClock
from app.emulator.console import pages
from app.emulator.project import Context
from support.provenance import our_choice

STATIC = Path(pages.__file__).parent / "static"
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
START = 1_700_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START * NANOS)


@pytest.fixture
async def client(clock: ManualClock) -> AsyncIterator[AsyncClient]:
    app = Starlette(routes=pages.routes(Context(project_id='a"><b', clock=clock)))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


async def test_the_page_escapes_the_project(client: AsyncClient):
    page = (await client.get("/")).text
    assert "a&#34;&gt;&lt;b" in page
    assert 'a"><b' not in page


@our_choice("strangers write log entries and labels; a page that shows them lets nothing but its own files run")
async def test_the_page_allows_only_its_own_files(client: AsyncClient):
    for path in ("/", "/console/static/js/main.js", "/console/static/nothing.js", "/console/about"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; ")
        assert "unsafe" not in policy
        assert "trusted-types 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


async def test_the_page_has_no_inline_script_or_style_and_names_no_other_host(client: AsyncClient):
    page = (await client.get("/")).text
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", page) == []
    assert re.findall(r"(?:src|href)=\"(?!/console/static/|#|/\"|/traces\")", page) == []


async def test_every_file_that_the_page_or_a_script_names_is_served(client: AsyncClient):
    named = set(re.findall(r"(?:src|href)=\"(/[^\"]+)\"", (await client.get("/")).text))
    for script in SCRIPTS:
        named |= {f"/console/static/js/{path}" for path in re.findall(r'from "\./([^"]+)"', script.read_text())}
    assert len(named) > len(SCRIPTS)
    for path in sorted(named):
        assert (await client.get(path)).status_code == 200, path


async def test_a_script_has_the_type_that_a_browser_insists_on(client: AsyncClient):
    answer = await client.get("/console/static/js/main.js")
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path", ["../pages.py", "..%2fpages.py", "%2e%2e/pages.py", "/etc/passwd", "vendor/README", "js", ""]
)
async def test_only_the_files_that_stood_there_at_the_start_can_be_asked_for(client: AsyncClient, path: str):
    assert (await client.get(f"/console/static/{path}")).status_code == 404


async def test_a_file_that_the_browser_has_is_not_sent_again(client: AsyncClient):
    first = await client.get("/console/static/base.css")
    again = await client.get("/console/static/base.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_page_is_told_the_emulators_time_not_the_machines(client: AsyncClient, clock: ManualClock):
    clock.advance(90)
    assert (await client.get("/console/about")).json() == {
        "project": 'a"><b',
        "now": (START + 90) * 1000,
        "started": START * 1000,
    }


def test_the_vendored_files_are_the_published_ones():
    vendor = STATIC / "vendor"
    sums = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", (vendor / "README").read_text(), re.MULTILINE))
    assert {hashlib.sha256((vendor / name).read_bytes()).hexdigest(): name for name in sums.values()} == sums
    assert set(sums.values()) == {path.name for path in vendor.iterdir()} - {"README"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_can_turn_a_string_into_markup_or_code(script: Path):
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b|new Function"
    assert re.findall(forbidden, script.read_text()) == []
