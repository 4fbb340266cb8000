"""docs/reference/settings.md and service-settings.md: every option, from the classes that read them."""

import json
from typing import Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from app.api.settings import LOCAL, ServiceSettings
from app.core import Settings

_LIBRARY: Final = """\
# Settings

{note}

Environment variables of the library, in every service. Those of the reference service alone have
[a page of their own](service-settings.md). A value that cannot be used stops the start: its name, the value and what is
allowed are told.

"""
_SERVICE: Final = """\
# Settings of the reference service

{note}

Environment variables of the reference service (`make run`), beside [those of the library](settings.md). Where
`ENVIRONMENT` is none of {local}, `AUTH_SIGNING_KEY` has to be set. A value that cannot be used stops the start; secrets
are never shown.

"""


def settings(note: str) -> str:
    return _LIBRARY.format(note=note) + _table(Settings)


def service_settings(note: str) -> str:
    local = ", ".join(f"`{name}`" for name in sorted(LOCAL))
    return _SERVICE.format(note=note, local=local) + _table(ServiceSettings)


def _table(kind: type[BaseSettings]) -> str:
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in kind.model_fields.items():
        told = _plain(field.default)
        lines.append(f"| `{name.upper()}` | {f'`{told}`' if told else ''} | {field.description} |")
    return "\n".join(lines) + "\n"


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()  # a default is no secret
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
