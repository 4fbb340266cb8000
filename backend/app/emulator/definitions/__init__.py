"""Reader of the data files that Terraform applies too: alert policies, dashboards, uptime checks.

`load` reads and checks files, `apply` brings what they say into an emulator, all of it or nothing.
"""

from .applying import Applied, apply
from .catalogue import data_root, template_values
from .defaults import FILE as DEFAULTS
from .errors import DefinitionError
from .loading import Definition, load
from .template import render

__all__ = [
    "DEFAULTS",
    "Applied",
    "Definition",
    "DefinitionError",
    "apply",
    "data_root",
    "load",
    "render",
    "template_values",
]
