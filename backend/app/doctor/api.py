"""REST calls with the standard library and google-auth: the only packages that every installation has."""

import http.client
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SECONDS = 20.0


class UnreachableError(Exception):
    """Nobody answers; the message is for people."""


class RefusedError(Exception):
    """The API said no.

    Attributes:
        code: HTTP's.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """Google's APIs, or the emulator that plays all of them at one address.

    Args:
        address: The emulator's; empty for Google's.
        token: Gives an access token, or an empty text.
    """

    def __init__(self, address: str = "", token: Callable[[], str] = str) -> None:
        self.address = address.rstrip("/")
        self._token = token
        # A proxy in the environment must not get between a laptop and its own emulator.
        handlers = [urllib.request.ProxyHandler({})] if address else []
        self._opener = urllib.request.build_opener(*handlers)

    def base(self, host: str) -> str:
        return self.address or f"https://{host}.googleapis.com"

    def get(self, host: str, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer's object; lists in a query are repeated.

        Raises:
            RefusedError: The answer is an error, or no JSON.
            UnreachableError: There is none.
        """
        asked = f"?{urllib.parse.urlencode(query, doseq=True)}" if query else ""
        return self._json("GET", f"{self.base(host)}/{path}{asked}", None)

    def post(self, host: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """As `get`."""
        return self._json("POST", f"{self.base(host)}/{path}", json.dumps(body).encode())

    def every(self, host: str, path: str, key: str) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            answer = self.get(host, path, {"pageSize": 200, **({"pageToken": token} if token else {})})
            found += answer.get(key, [])
            token = str(answer.get("nextPageToken", ""))
            if not token:
                return found

    def date(self, host: str) -> datetime:
        """What the other side's clock says.

        Raises:
            UnreachableError: There is no answer, or none with a clock.
        """
        if self.address:
            try:
                told = self.get(host, "control/clock")["now"]
                return datetime.fromisoformat(f"{str(told)[:19]}+00:00")
            except (RefusedError, KeyError, ValueError) as error:
                raise UnreachableError(f"{self.address} is no emulator: {error}") from error
        try:
            # Any answer will do, also a 404.
            with self._opener.open(f"{self.base(host)}/", timeout=_SECONDS) as answer:
                headers = answer.headers
        except urllib.error.HTTPError as error:
            headers = error.headers
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self.base(host)} does not answer: {_reason(error)}") from error
        if not headers.get("Date"):
            raise UnreachableError(f"{self.base(host)} answers without a Date")
        return parsedate_to_datetime(headers["Date"]).astimezone(UTC)

    def _json(self, verb: str, url: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if value := self._token():
            headers["Authorization"] = f"Bearer {value}"
        # Only what `base` makes: https, or the address of an emulator.
        request = urllib.request.Request(url, body, headers, method=verb)  # noqa: S310  # see above
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise RefusedError(error.code, _told(error.read()) or f"HTTP {error.code}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnreachableError(f"{url.partition('?')[0]} does not answer: {_reason(error)}") from error
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RefusedError(HTTPStatus.BAD_GATEWAY, f"{url.partition('?')[0]} answers without JSON")
        return found


def open_port(address: str) -> None:
    """Connect to `host:port` and hang up.

    Raises:
        UnreachableError: Nobody listens there.
    """
    host, _, port = address.rpartition("//")[2].rstrip("/").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return
    except (OSError, ValueError) as error:
        raise UnreachableError(f"nobody listens at {address}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason)


def _told(body: bytes) -> str:
    """Google's REST errors have an object, Prometheus's a text."""
    try:
        error = json.loads(body).get("error")
    except (ValueError, AttributeError):
        return ""
    return str(error.get("message", "")) if isinstance(error, dict) else str(error or "")
