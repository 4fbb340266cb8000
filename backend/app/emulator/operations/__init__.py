"""What is deployed, over Google's REST API: in the emulator that runs, or in a real project.

`adopt` writes Terraform's import blocks, `export` files, `diff` tells files from what is deployed, `snooze` silences
policies, `drill` sends a test incident the way a real one takes.
"""

from .adopt import adopt
from .api import ApiRefusedError, Deployed, Project
from .diff import diff
from .drill import drill
from .export import Exported, export
from .snooze import find_policies, snooze

__all__ = [
    "ApiRefusedError",
    "Deployed",
    "Exported",
    "Project",
    "adopt",
    "diff",
    "drill",
    "export",
    "find_policies",
    "snooze",
]
