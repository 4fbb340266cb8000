# ruff: noqa: INP001  # a program beside the script that calls it, no package
"""`render.py service.yaml`: fill in ${NAME} from the environment; what is empty is left out with its entry."""

import os
import re
import sys
from pathlib import Path


def render(text: str, values: dict[str, str]) -> str:
    """The manifest.

    Raises:
        KeyError: It names a variable that is not there.
    """
    lines = text.splitlines()
    if not values.get("CLOUDSQL_INSTANCE"):
        lines = [line for line in lines if "${CLOUDSQL_INSTANCE}" not in line]
    if not values.get("PREVIOUS"):
        start = next(number for number, line in enumerate(lines) if "${PREVIOUS}" in line)
        del lines[start : start + 3]
    if not values.get("SERVING"):  # the first deployment: there is nobody else to serve
        start = lines.index("  traffic:")
        lines[start:] = ["  traffic:", "    - revisionName: ${REVISION}", "      tag: candidate", "      percent: 100"]
    filled = [re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], line) for line in lines]
    return "\n".join(filled) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render(Path(sys.argv[1]).read_text(), dict(os.environ)))
