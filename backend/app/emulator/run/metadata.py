"""The metadata server of a Cloud Run instance (docs.cloud.google.com/run/docs/container-contract, "metadata server").

Google's client libraries find it through GCE_METADATA_HOST and take project, region and tokens from it.
"""

import base64
import json
import threading
import time
from collections.abc import Callable
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

        class Handler(_Handler):
            metadata = tree

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
            "id": instance.instance_id,
            "region": f"projects/{number}/regions/{instance.region}",
            "service-accounts": {"default": account, instance.email: account},
            "zone": f"projects/{number}/zones/{instance.region}-1",
        },
        "project": {"numeric-project-id": str(number), "project-id": instance.project_id},
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
        if not isinstance(node, dict):
            self._value(node, parameters)
        elif parameters.get("recursive", [""])[0].lower() == "true":
            self._answer(HTTPStatus.OK, json.dumps(_listed(node)), "application/json")
        else:
            listing = "".join(f"{key}/\n" if isinstance(node[key], dict) else f"{key}\n" for key in node)
            self._answer(HTTPStatus.OK, listing)

    def _value(self, value: str | list[str] | _PerRequest, parameters: Parameters) -> None:
        try:
            answer = value(parameters) if callable(value) else value
        except BadRequest as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error))
            return
        if isinstance(answer, dict):
            self._answer(HTTPStatus.OK, json.dumps(answer), "application/json")
        else:
            self._answer(HTTPStatus.OK, answer if isinstance(answer, str) else "".join(f"{item}\n" for item in answer))

    def _answer(self, status: HTTPStatus, body: str, content_type: str = "application/text") -> None:
        encoded = body.encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name in the base class
        """Nothing: the terminal belongs to the command."""


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
