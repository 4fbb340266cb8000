"""A real browser in tests: headless Chromium, driven by its DevTools protocol."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

from support.tools import tool
from support.waiting import wait_until

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)
_SECONDS = 20.0
# Screenshots are large, and a tab tells its events whether or not somebody reads them: in a bounded queue the answer to
# a closing handshake would wait behind them.
_WIDE_OPEN: dict[str, Any] = {"max_size": 64 * 1024 * 1024, "max_queue": None, "open_timeout": _SECONDS}


class Tab:
    """One page, with all that it asked for, said and complained about."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last = 0
        self.requests: list[str] = []
        self.failures: list[str] = []
        self.dialogs: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        call = self._last
        self._connection.send(json.dumps({"id": call, "method": method, "params": parameters}))
        deadline = time.monotonic() + _SECONDS
        while True:
            message = json.loads(self._connection.recv(timeout=max(0.0, deadline - time.monotonic())))
            if message.get("id") == call:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return dict(message["result"])
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.failures.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "warning", "assert"}:
            self.failures.append(" ".join(str(part.get("value", "")) for part in parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in {"error", "warning"}:
            self.failures.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(parameters["message"])
            self._last += 1
            closing = {"id": self._last, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            self._connection.send(json.dumps(closing))

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, script: str, what: str, seconds: float = _SECONDS) -> None:
        """Waits until an expression is truthy in the page."""
        wait_until(lambda: self.run(f"Boolean({script})"), seconds=seconds, what=what)

    def text(self, selector: str = "body") -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def size(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme: str) -> None:
        """`light` or `dark`."""
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


class Browser:
    def __init__(self, port: int) -> None:
        self._port = port

    @contextmanager
    def tab(self, width: int = 1280, height: int = 800) -> Iterator[Tab]:
        with urlopen(f"http://127.0.0.1:{self._port}/json/version", timeout=_SECONDS) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        with connect(address, **_WIDE_OPEN) as control:
            # A context of its own: no storage and no cache is shared between two tests.
            context = _ask(control, "Target.createBrowserContext")["browserContextId"]
            target = _ask(control, "Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
            page = f"ws://127.0.0.1:{self._port}/devtools/page/{target}"
            with connect(page, **_WIDE_OPEN) as connection:
                tab = Tab(connection)
                tab.size(width, height)
                yield tab
            _ask(control, "Target.disposeBrowserContext", browserContextId=context)


def _ask(control: ClientConnection, method: str, **parameters: Any) -> dict[str, Any]:
    control.send(json.dumps({"id": 1, "method": method, "params": parameters}))
    while (message := json.loads(control.recv(timeout=_SECONDS))).get("id") != 1:
        pass
    return dict(message["result"])


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A running Chromium whose profile lies in `profile`; skips the test where there is none."""
    command = [tool("chromium"), *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            chosen = profile / "DevToolsActivePort"
            wait_until(
                lambda: chosen.exists() and chosen.read_text().strip(), seconds=_SECONDS, what="Chromium's start"
            )
            yield Browser(int(chosen.read_text().splitlines()[0]))
        finally:
            process.terminate()
            try:
                process.wait(timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
