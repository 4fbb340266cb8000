import os
import re
from pathlib import Path

import pytest

from tools.reference_pages import PAGES, ROOT

FOLDER = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_says_what_the_code_does(name):
    page = FOLDER / name
    text = PAGES[name]()
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        page.write_text(text)
    assert page.read_text() == text, f"docs/reference/{name} is stale: run `make snapshots`"


def test_every_link_between_our_documents_leads_somewhere():
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "terraform").rglob("*.md")]:
        links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
        broken += [f"{page.relative_to(ROOT)}: {link}" for link in links if not (page.parent / link).exists()]
    assert broken == []


def test_the_map_leads_to_every_page():
    text = (ROOT / "docs" / "README.md").read_text()
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    # Runbooks are found by the alert that fires, decisions in their folder.
    pages = {page for page in pages if not page.startswith(("runbooks/", "decisions/", "README"))}
    assert pages - set(re.findall(r"\]\(([^)#]+)\)", text)) == set()


def test_every_path_the_readme_names_exists():
    text = (ROOT / "README.md").read_text()
    paths = re.findall(r"`((?:backend|docs|terraform)/[^`*<> ]*)`", text)
    assert [path for path in paths if not Path(ROOT / path).exists()] == []
