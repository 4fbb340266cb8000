"""`make demo`."""

import argparse
import asyncio
import contextlib
import signal
import sys
from dataclasses import dataclass, field

import httpx

from .display import Display
from .line import DemoError, Line
from .view import SERVICE, State

_CALM_SECONDS = 6.0
_FAILING_SHARE = 0.4
_LOOK_SECONDS = 0.5
# How long the picture stays once everything has happened.
_LINGER_SECONDS = 4.0


@dataclass
class Progress:
    """What has happened so far, in the order in which it should."""

    seen: dict[str, bool] = field(
        default_factory=lambda: {
            "metrics arrived in the emulator": False,
            "access entries arrived in the emulator": False,
            "the alert opened": False,
            "the webhook was received": False,
        }
    )

    def note(self, what: str, happened: bool) -> bool:  # reads as a sentence
        """True the first time."""
        first = happened and not self.seen[what]
        self.seen[what] |= happened
        return first

    @property
    def missing(self) -> list[str]:
        return [what for what, happened in self.seen.items() if not happened]


async def demo(seconds: float | None) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    progress = Progress()
    print("Starting the emulator and the reference service ...", flush=True)  # noqa: T201  # a program for people
    async with Line() as line:
        with Display(line) as display:
            for applied in line.applied:
                display.event(applied)
            traffic = asyncio.create_task(line.driver.run(stop))
            display.begin()
            await _watch(line, display, progress, stop, seconds)
            stop.set()
            await traffic
            if seconds is not None:
                await _settle(line, display, progress)
    if seconds is None or not progress.missing:
        return 0
    sys.stderr.write(f"The demo ended after {seconds:g} s without this: {', '.join(progress.missing)}.\n")
    return 1


async def _watch(line: Line, display: Display, progress: Progress, stop: asyncio.Event, seconds: float | None) -> None:
    done_at: float | None = None
    while not stop.is_set():
        elapsed = display.elapsed
        if seconds is not None and (elapsed > seconds or (done_at is not None and elapsed > done_at + _LINGER_SECONDS)):
            return
        phase = _conduct(line, display, elapsed, done_at)
        with contextlib.suppress(httpx.HTTPError):  # a look that fails is followed by another
            state = await line.look()
            _tell(line, display, progress, state)
            display.update(state, phase)
        if done_at is None and not progress.missing:
            done_at = display.elapsed
            display.event("failures end; the alert closes when they have left the five minutes")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)


def _conduct(line: Line, display: Display, elapsed: float, done_at: float | None) -> str:
    failing = elapsed > _CALM_SECONDS and done_at is None
    if failing and not line.driver.failing_share:
        display.event(f"a burst of failures begins: {_FAILING_SHARE:.0%} of the requests to {SERVICE}")
    line.driver.failing_share = _FAILING_SHARE if failing else 0.0
    return f"{_FAILING_SHARE:.0%} failing" if failing else "healthy"


def _tell(line: Line, display: Display, progress: Progress, state: State) -> None:
    if progress.note("access entries arrived in the emulator", state.entries > 0):
        display.event("the first access entries arrived")
    if progress.note("metrics arrived in the emulator", state.series > 0):
        display.event(f"the first export arrived: {state.series} request series")
    opened = [one for one in state.incidents if one.get("state") == "OPEN"]
    if progress.note("the alert opened", bool(opened)):
        display.event(f"[red bold]alert open:[/red bold] {opened[0]['policy']['displayName']}")
    if progress.note("the webhook was received", bool(line.receiver.payloads)):
        incident = line.receiver.payloads[0]["incident"]
        display.event(f"[bold]notification delivered:[/bold] {incident['policy_name']}, state {incident['state']}")


async def _settle(line: Line, display: Display, progress: Progress) -> None:
    """End the service as the platform does, and hold its last totals against the driver's ledger."""
    display.event("SIGTERM to the service: it flushes what it counted and goes")
    await line.stop_service()
    counted = await line.view.totals()
    sent = dict(line.driver.ledger.answers)
    equal = counted == sent
    display.event(f"requests sent {sum(sent.values())}, counted in the emulator {sum(counted.values())}")
    progress.seen["the emulator's counts equal the ledger"] = equal


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", type=float, help="end after this long, counted from the first request")
    arguments = parser.parse_args()
    try:
        code = asyncio.run(demo(arguments.seconds))
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
