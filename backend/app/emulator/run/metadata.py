"""The metadata server of a Cloud Run instance (docs.cloud.google.com/run/docs/container-contract, "metadata server").

Google's client libraries find it through GCE_METADATA_HOST and take project, region and tokens from it.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_ROOT = "/computeMetadata/v1"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_TOKEN_SECONDS = 3600

Parameters = dict[str, list[str]]
_PerRequest = Callable[[Parameters], str | dict[str, Any]]


class BadRequest(Exception):  # noqa: N818  # the name of the HTTP status it becomes
    """A parameter is missing."""


@dataclass(frozen=True, slots=True)
class Instance:
    project_id: str
    project_number: int
    region: str
    instance_id: str

    @property
    def email(self) -> str:
        """Cloud Run's default service account."""
        return f"{self.project_number}-compute@developer.gserviceaccount.com"


class MetadataServer:
    """Answers on a free port of this machine until it is closed."""

    def __init__(self, instance: Instance) -> None:
        tree = _tree(instance)

        self._closing = closing = threading.Event()

        class Handler(_Handler):
            metadata = tree
            ending = closing

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metadata-server", daemon=True)
        self._thread.start()

    def environment(self) -> dict[str, str]:
        """What google-auth reads to find the server (google/auth/environment_vars.py)."""
        return {
            "GCE_METADATA_HOST": self.address,
            "GCE_METADATA_ROOT": self.address,
            "GCE_METADATA_IP": self.address,
        }

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _tree(instance: Instance) -> dict[str, Any]:
    """Directories are dicts, values texts; what is made per request is a function and not part of a listing's JSON."""
    account = {
        "aliases": ["default"],
        "email": instance.email,
        "scopes": list(_SCOPES),
        "token": lambda _: _token(),
        "identity": lambda parameters: _identity(instance, parameters),
    }
    number = instance.project_number
    return {
        "instance": {
            "attributes": {},
            "id": instance.instance_id,
            "region": f"projects/{number}/regions/{instance.region}",
            "service-accounts": {"default": account, instance.email: account},
            "zone": f"projects/{number}/zones/{instance.region}-1",
        },
        "project": {"attributes": {}, "numeric-project-id": str(number), "project-id": instance.project_id},
        "universe": {"universe-domain": "googleapis.com"},
    }


def _token() -> dict[str, Any]:
    # No secret: it opens nothing but the emulator, which asks for none.
    return {"access_token": "cloudops-emulator", "expires_in": _TOKEN_SECONDS - 1, "token_type": "Bearer"}


def _identity(instance: Instance, parameters: Parameters) -> str:
    audience = parameters.get("audience", [""])[0]
    if not audience:
        raise BadRequest("non-empty audience parameter required")
    now = int(time.time())
    claims = {
        "aud": audience,
        "email": instance.email,
        "email_verified": True,
        "exp": now + _TOKEN_SECONDS,
        "iat": now,
        "iss": "https://accounts.google.com",
        "sub": str(instance.project_number),
    }
    # "none": whoever verifies the signature must refuse it.
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"unsigned"))


class _Handler(BaseHTTPRequestHandler):
    metadata: dict[str, Any]
    ending: threading.Event
    protocol_version = "HTTP/1.1"
    server_version = "Metadata Server for VM"  # the real one's name
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/":
            self._answer(HTTPStatus.OK, "computeMetadata/\n")
        elif self.headers.get("Metadata-Flavor") != "Google":
            self._answer(HTTPStatus.FORBIDDEN, "Missing Metadata-Flavor:Google header.")
        elif "X-Forwarded-For" in self.headers:
            # "rejects any requests that contain the header": such a request came through a proxy.
            self._answer(HTTPStatus.FORBIDDEN, "Requests with the header X-Forwarded-For are refused.")
        elif url.path != _ROOT and not url.path.startswith(f"{_ROOT}/"):
            self._answer(HTTPStatus.NOT_FOUND, "Not found")
        else:
            self._metadata(url.path.removeprefix(_ROOT), parse_qs(url.query))

    def _metadata(self, path: str, parameters: Parameters) -> None:
        node: Any = self.metadata
        for key in filter(None, path.split("/")):
            if not isinstance(node, dict) or key not in node:
                self._answer(HTTPStatus.NOT_FOUND, "Not found")
                return
            node = node[key]
        if callable(node):
            self._made(node, parameters)
            return
        as_json = _parameter(parameters, "recursive") == "true" and isinstance(node, dict)
        shown = _parameter(parameters, "alt") or ("json" if as_json else "text")
        if as_json or not isinstance(node, dict):
            body = json.dumps(_listed(node)) if shown == "json" else "".join(_lines(_listed(node)))
        else:
            shown = "text"
            body = "".join(f"{key}/\n" if isinstance(node[key], dict) else f"{key}\n" for key in node)
        etag = hashlib.blake2b(body.encode(), digest_size=8).hexdigest()
        if _parameter(parameters, "wait_for_change") == "true":
            self._wait(parameters, etag)
        self._answer(HTTPStatus.OK, body, "application/json" if shown == "json" else "application/text", etag)

    def _wait(self, parameters: Parameters, etag: str) -> None:
        """Nothing here ever changes: until the time is up, unless the caller knew something else."""
        known = _parameter(parameters, "last_etag")
        if known in {"", etag}:
            seconds = _parameter(parameters, "timeout_sec")
            self.ending.wait(float(seconds) if seconds.isdecimal() else None)

    def _made(self, make: _PerRequest, parameters: Parameters) -> None:
        """Answer what is made per request: tokens, which have no ETag worth waiting for."""
        try:
            answer = make(parameters)
        except BadRequest as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error))
            return
        if isinstance(answer, dict):
            self._answer(HTTPStatus.OK, json.dumps(answer), "application/json")
        else:
            self._answer(HTTPStatus.OK, answer)

    def _answer(self, status: HTTPStatus, body: str, content_type: str = "application/text", etag: str = "") -> None:
        encoded = body.encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(encoded)))
        if etag:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name in the base class
        """Nothing: the terminal belongs to the command."""


def _parameter(parameters: Parameters, name: str) -> str:
    return parameters.get(name, [""])[0].lower()


def _lines(node: Any, path: str = "") -> Iterator[str]:
    """`alt=text`: one value is itself, a list a line each, a directory `path value` lines."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _lines(value, f"{path}/{key}".lstrip("/"))
    elif isinstance(node, list):
        yield from (f"{path}/{index} {item}\n" if path else f"{item}\n" for index, item in enumerate(node))
    else:
        yield f"{path} {node}\n" if path else str(node)


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    return {_camel(key): _listed(value) for key, value in node.items() if not callable(value)}


def _camel(key: str) -> str:
    """`service-accounts` is `serviceAccounts` in JSON answers; addresses stay as they are."""
    if "@" in key:
        return key
    first, *others = key.split("-")
    return first + "".join(word.capitalize() for word in others)
