"""What one log call costs, as a ratio to structlog-gcp's in the same run.

Both write the same five fields to /dev/null. Ours also adds the time in nanoseconds, an insert id, the place of the
call, the request ids and the labels of the service. The two take turns in random order; CPU time, ratios with their
90 % interval by resampling.

Run: make bench (or: python backend/benchmarks/log_cost.py --rounds 400)
"""

import argparse
import os
import random
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import structlog  # after the path is set
from turns import ratio  # as above

from app.core import Settings  # as above
from app.core.context import RequestContext, current  # as above
from app.core.lifecycle import Worker  # as above
from app.core.logging.stdout import Stdout  # as above
from app.core.metrics.cells import Store  # as above
from app.core.setup import Observability  # as above

PEER = "structlog-gcp"
_CALLS_A_TURN = 50


def _calls(log: Any) -> Callable[[], None]:
    def turn() -> None:
        for number in range(_CALLS_A_TURN):
            log.info("item read", item_id=number, name="widget", price=9.99, tags=["a", "b"], found=True)

    return turn


def peer() -> Callable[[], None]:
    import structlog_gcp  # noqa: PLC0415  # only here

    sink = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    processors = structlog_gcp.build_processors(service="items", version="1.2.3")
    return _calls(structlog.wrap_logger(structlog.PrintLogger(sink), processors=processors))


def ours() -> Callable[[], None]:
    sink = Stdout(os.open(os.devnull, os.O_WRONLY))
    settings = Settings.load(service_name="items", service_version="1.2.3", google_cloud_project="shop")
    Observability(settings, worker=Worker(Store()), write=sink).configure_logging()
    current.set(RequestContext("0af7651916cd43dd8448eb211c80319c"))
    return _calls(structlog.get_logger())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    turns = {PEER: peer(), "ours": ours()}
    taken: dict[str, list[float]] = {name: [] for name in turns}
    for round_number in range(arguments.rounds + 20):
        order = list(turns.items())
        dice.shuffle(order)
        for name, turn in order:
            began = process_time()
            turn()
            if round_number >= 20:
                taken[name].append(process_time() - began)
    middle, low, high = ratio(taken["ours"], taken[PEER], arguments.seed)
    print("Versions:", ", ".join(f"{name} {metadata.version(name)}" for name in ("structlog", PEER)))
    print(f"Cost of one log call, {PEER} = 1 (rounds: {arguments.rounds}):")
    print(f"  {middle:5.2f}  [{low:.2f}, {high:.2f}]  ours, with all fields")


if __name__ == "__main__":
    main()
