"""What went over the wire, kept beside the test and reviewed as a diff; `make snapshots` rewrites it."""

import json
import os
from pathlib import Path
from typing import Any


def check(path: Path, value: Any) -> None:
    """Compare a JSON value with the stored one."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"no snapshot {path.name}: run `make snapshots` and review what it wrote"
    assert text == path.read_text(), f"{path.name} differs: run `make snapshots` and review the diff"
