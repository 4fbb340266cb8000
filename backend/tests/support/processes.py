"""An emulator in a process of its own, to be killed."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BACKEND = Path(__file__).parents[2]
_SERVE = """
import asyncio, json, sys
from pathlib import Path
from app.emulator.server import ServeOptions, serve
options = json.loads(sys.argv[1])
if options.get("data_dir"):
    options["data_dir"] = Path(options["data_dir"])
asyncio.run(serve(ServeOptions(grpc_port=0, http_port=0, **options), lambda told: print(json.dumps(told), flush=True)))
"""


@contextlib.contextmanager
def emulator_process(**options: Any) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """The process and its addresses; options are those of `ServeOptions`, paths as texts."""
    command = [sys.executable, "-c", _SERVE, json.dumps(options)]
    environment = os.environ | {"PYTHONPATH": str(_BACKEND)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()
