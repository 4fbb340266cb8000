"""What `import app.core` costs on top of `import fastapi`, as a ratio of processor time.

`.venv/bin/python backend/benchmarks/import_cost.py` prints it; the goal is 0.5. Times are this machine's alone.
structlog also loads rich and greenlet where they are installed, as here and seldom in a service: it is told with both.
"""

import json
import subprocess
import sys
from pathlib import Path

_BACKEND = Path(__file__).parents[1]
_ROUNDS = 7
_MEASURE = """
import sys, time
sys.path.insert(0, sys.argv[1])
for absent in sys.argv[2:]:
    sys.modules[absent] = None
begun = time.process_time()
import fastapi
between = time.process_time()
import app.core
ended = time.process_time()
print(f"[{between - begun}, {ended - between}]")
"""


def measured(*absent: str) -> tuple[float, float]:
    """Seconds of `import fastapi` and of `import app.core` after it: the best of some fresh processes.

    Args:
        absent: Packages that are treated as not installed.
    """
    pairs = []
    for _ in range(_ROUNDS):
        command = [sys.executable, "-c", _MEASURE, str(_BACKEND), *absent]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        pairs.append(json.loads(done.stdout))
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def main() -> None:
    for title, absent in {"as a service has it": ("rich", "greenlet"), "with rich and greenlet": ()}.items():
        fastapi, ours = measured(*absent)
        print(title)
        print(f"  import fastapi          {fastapi * 1000:7.0f} ms")
        print(f"  import app.core on top  {ours * 1000:7.0f} ms")
        print(f"  ratio                   {ours / fastapi:7.2f}   (goal: at most 0.50)")


if __name__ == "__main__":
    main()
