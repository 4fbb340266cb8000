"""What the front of `cloudops run` adds to a request: the same small requests with and without it, in turns.

Run: python backend/benchmarks/emulator_front.py [--rounds 30]
"""

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.emulator.run.forward import Limits
from app.emulator.run.front import Front, FrontOptions

BACKEND = Path(__file__).parents[1]
_EACH = 100


def turn(port: int) -> float:
    """Milliseconds a request, one after another over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    began = time.perf_counter()
    for _ in range(_EACH):
        connection.request("GET", "/")
        connection.getresponse().read()
    taken = time.perf_counter() - began
    connection.close()
    return taken / _EACH * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "PORT": str(port), "PYTHONPATH": f"{BACKEND}{os.pathsep}{BACKEND / 'tests'}"}
    with subprocess.Popen([sys.executable, "-m", "support.front_app"], env=environment) as server:
        front = Front(0, FrontOptions(Limits()), lambda _: None)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            front.open(port, "1")
            turn(port), turn(front.port)
            direct, through, cpu = [], [], []
            for _ in range(arguments.rounds):
                direct.append(turn(port))
                began = time.process_time()
                through.append(turn(front.port))
                cpu.append((time.process_time() - began) / _EACH * 1000)
        finally:
            front.close()
            server.terminate()
    print(f"direct {statistics.median(direct):.2f} ms a request, through the front {statistics.median(through):.2f} ms")
    print(f"CPU of this process (front and client): {statistics.median(cpu):.2f} ms a request")


if __name__ == "__main__":
    main()
