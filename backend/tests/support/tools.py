"""Programs that tests run for real, and what to install where one is missing."""

import os
import shutil
from pathlib import Path

import pytest

_HOW = {
    "terraform": "Terraform >= 1.9 (developer.hashicorp.com/terraform/install)",
    "tofu": "OpenTofu >= 1.9 (opentofu.org/docs/intro/install)",
    "promtool": "Debian package prometheus",
    "chromium": "Debian package chromium",
    "redis-server": "Debian package redis-server",
    "gunicorn": "make setup",
    "initdb": "Debian package postgresql",
    "pg_isready": "Debian package postgresql",
    "postgres": "Debian package postgresql",
}


# Debian keeps PostgreSQL's programs beside each other, by version, and off the path.
_FOLDERS = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]


def tool(name: str) -> str:
    """The path of a program; skips the test where it is missing, fails it in CI."""
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_FOLDERS))
    if path is not None:
        return path
    notice = f"{name} is not on this machine: install {_HOW[name]}"
    if os.environ.get("CI") == "true":
        pytest.fail(notice)
    pytest.skip(notice)
