"""`make demo`: stories of a service in trouble, from real requests to real alerts on the emulator."""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import httpx

from .acts import ACTS
from .display import Display
from .ledger_check import compare
from .line import DemoError, Line
from .play import Outcome, play
from .stories import ChoiceError, Part, Seen, Story, chosen, listing, plan
from .view import State

_LOOK_SECONDS = 1.0
# In a terminal a story goes on for so long, although its alert may be open sooner: a person wants to read.
_FOLLOW_SECONDS = 20.0
_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Theatre:
    """The stage of `play`: a line, shown on a display."""

    def __init__(self, line: Line, display: Display) -> None:
        self._line = line
        self._display = display
        self.begins = display.begins
        self.opened = display.opened
        self.ends = display.ends

    def act(self, story: Story) -> AbstractAsyncContextManager[None]:
        self._line.driver.story = story.name
        return ACTS[story.name](self._line)

    async def look(self, story: Story, began: float) -> Seen | None:
        state = await self.state()
        if state is None:
            return None
        return Seen(
            began,
            state.series,
            state.entries,
            state.incidents,
            frozenset(self._told()),
            self._line.driver.ledger.statuses(story.name),
        )

    async def state(self) -> State | None:
        """What the emulator knows now, shown; a look that fails is followed by another."""
        try:
            state = await self._line.look()
        except httpx.HTTPError:
            return None
        self._display.update(state)
        return state

    def _told(self) -> list[tuple[str, str]]:
        incidents = [payload["incident"] for payload in self._line.receiver.payloads]
        return [(self._line.view.key_of_display_name(one["policy_name"]), one["state"]) for one in incidents]


async def demo(parts: Sequence[Part], *, seed: int, free_ports: bool, stay: bool) -> int:
    """Play the parts; 0 when all that each of them is about has happened, and the emulator has what was sent."""
    began = time.monotonic()
    print("Starting the emulator and the reference service ...", flush=True)  # noqa: T201  # a program for people
    async with Line(free_ports=free_ports, seed=seed) as line:
        with Display(line, parts) as display:
            theatre = Theatre(line, display)
            async with line.driver.sending():
                outcomes = await play(parts, theatre, least=_FOLLOW_SECONDS if stay and display.is_live else 0.0)
                if stay and display.is_live:
                    await _stay(theatre, display)
            display.stop()
            equal = await _settle(line, display)
            _sum_up(display, outcomes, time.monotonic() - began)
    return 0 if equal and not any(outcome.missing for outcome in outcomes) else 1


async def _stay(theatre: Theatre, display: Display) -> None:
    """Until the first signal, which from here on is no failure."""
    display.stays()
    display.event("all is played; look at the pages, Ctrl-C ends it")
    enough = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, enough.set)
    while not enough.is_set():
        await theatre.state()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(enough.wait(), _LOOK_SECONDS)


async def _settle(line: Line, display: Display) -> bool:
    """End the service as the platform does, and hold its last totals against the driver's ledger."""
    display.event("SIGTERM to the service: it flushes what it counted and goes")
    await line.stop_service()
    found = compare(line.driver.ledger, await line.view.totals(), await line.view.entries_by_story())
    for story, count in line.driver.ledger.by_story().items():
        statuses = line.driver.ledger.statuses(story)
        by_status = ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items()))
        display.event(f"{story:<14} {count:>5} requests   {by_status}")
    display.event(f"[bold]{found}[/bold]")
    for difference in found.differences:
        display.event(f"[red]{difference}[/red]")
    return not found.differences


def _sum_up(display: Display, outcomes: Sequence[Outcome], seconds: float) -> None:
    failed = [outcome.story.name for outcome in outcomes if outcome.missing]
    played = ", ".join(outcome.story.name for outcome in outcomes)
    display.event(
        f"played in {seconds:.0f} s, start and end included: {played}"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )


async def _interruptible(parts: Sequence[Part], arguments: argparse.Namespace) -> int:
    """The first signal ends the demo in good order; more of them do not hurry it."""
    playing = asyncio.current_task()
    assert playing is not None

    def end() -> None:
        if not playing.cancelling():
            playing.cancel()

    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, end)
    return await demo(parts, seed=arguments.seed, free_ports=arguments.free_ports, stay=arguments.seconds is None)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make demo", description=__doc__, epilog=listing(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--story", default="", help="play this one (make demo STORY=flood)")
    parser.add_argument("--seconds", type=float, help="end after this long, counted from the first request")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the traffic: the same one draws the same kinds of requests"
    )
    parser.add_argument("--free-ports", action="store_true", help="on any free ports, beside what runs already")
    parser.add_argument("--list", action="store_true", help="list the stories and end")
    arguments = parser.parse_args()
    if arguments.list:
        sys.stdout.write(listing() + "\n")
        return
    try:
        parts = plan(chosen(arguments.story), arguments.seconds)
    except ChoiceError as error:
        parser.exit(2, f"{error}\n")
    try:
        code = asyncio.run(_interruptible(parts, arguments))
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        code = 1
    except httpx.HTTPError as error:
        sys.stderr.write(f"The emulator does not answer any more: {error!r}\n")
        code = 1
    except asyncio.CancelledError:
        sys.stderr.write("Interrupted; everything that was started has ended.\n")
        code = _INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
