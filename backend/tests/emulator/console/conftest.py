from collections.abc import Iterator

import pytest

from support.browser import Browser, Tab, chromium
from support.emulator import RunningEmulator, running_emulator


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(evaluate_every=0.2) as emulator:
        yield emulator


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with browser.tab() as tab:
        yield tab
