"""Where this process runs: Cloud Run, GKE or somewhere else, and who it is there."""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

Platform = Literal["cloud_run", "gke", "other"]

_METADATA_HOST = "metadata.google.internal"
_METADATA_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the platform says about this process. Empty strings: not known (yet)."""

    platform: Platform
    project: str
    location: str
    cluster: str
    instance: str
    revision: str


def from_environment(project: str, emulated: bool, environ: Mapping[str, str] = os.environ) -> Runtime:
    """What environment variables tell, without any I/O.

    Args:
        project: The project id from the settings; empty when the metadata server has to be asked.
        emulated: Whether the back end is the emulator, whose project is `demo` unless told otherwise.
        environ: The environment.
    """
    host = environ.get("HOSTNAME") or socket.gethostname()
    if "K_SERVICE" in environ or "CLOUD_RUN_JOB" in environ:
        revision = environ.get("K_REVISION", environ.get("CLOUD_RUN_EXECUTION", ""))
        return Runtime("cloud_run", project, "", "__run__", "", revision)
    if "KUBERNETES_SERVICE_HOST" in environ:
        return Runtime("gke", project, "", "", host, "")
    return Runtime("other", project or ("demo" if emulated else ""), "global", "", host, "")


def ask_metadata_server(runtime: Runtime, fetch: Callable[[str], str] | None = None) -> Runtime:
    """Fill in what only the metadata server knows (cloud.google.com/run/docs/container-contract#metadata-server).

    Blocks for at most a few seconds. What it does not answer stays empty.

    Args:
        runtime: What is known so far; on other platforms than Cloud Run and GKE it is returned as it is.
        fetch: Gives the text at a metadata path. Default: HTTP to `GCE_METADATA_HOST` or metadata.google.internal.
    """
    if runtime.platform == "other":
        return runtime
    fetch = fetch or fetch_metadata
    project = runtime.project or fetch("project/project-id")
    if runtime.platform == "cloud_run":
        region = fetch("instance/region").rpartition("/")[2]
        instance = fetch("instance/id")
        return replace(runtime, project=project, location=region, instance=instance or runtime.instance)
    location = fetch("instance/attributes/cluster-location") or fetch("instance/zone").rpartition("/")[2]
    return replace(runtime, project=project, location=location, cluster=fetch("instance/attributes/cluster-name"))


def fetch_metadata(path: str) -> str:
    """The text at a path of the metadata server; empty when it does not answer."""
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415  # costs start-up time, and few need it

    # A plain connection: a proxy from the environment must never see this request.
    connection = HTTPConnection(os.environ.get("GCE_METADATA_HOST", _METADATA_HOST), timeout=_METADATA_TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"/computeMetadata/v1/{path}", headers={"Metadata-Flavor": "Google"})
        answer = connection.getresponse()
        body = answer.read(4096).decode()
    except (HTTPException, OSError, ValueError):
        return ""
    else:
        return body if answer.status == HTTPStatus.OK else ""
    finally:
        connection.close()
