"""The service is going to end: streams and websockets, which have no end of their own, are told."""

import asyncio
import os
from contextlib import suppress


class Draining:
    """One event for each event loop, all set together, also from a signal handler."""

    def __init__(self) -> None:
        self._events: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}
        self.begun = False

    def event(self) -> asyncio.Event:
        """The event of the loop that runs now."""
        loop = asyncio.get_running_loop()
        kept = self._events.get(id(loop))
        if kept is None or kept[0] is not loop:
            self._events = {key: one for key, one in self._events.items() if not one[0].is_closed()}
            kept = self._events[id(loop)] = (loop, asyncio.Event())
            if self.begun:
                kept[1].set()
        return kept[1]

    def begin(self) -> None:
        """Set every event; takes no lock and does not wait."""
        self.begun = True
        for loop, event in list(self._events.values()):
            with suppress(RuntimeError):  # the loop is closed
                # Wakes the loop as well, which may be waiting for its sockets.
                loop.call_soon_threadsafe(event.set)

    def reset(self) -> None:
        """The service starts, perhaps again."""
        self.begun = False
        self._events = {}


#: Of this process.
process_draining = Draining()


def draining() -> asyncio.Event:
    """The event that is set when the service is asked to end, for endpoints that would go on for ever.

    ```python
    while not draining().is_set():
        yield await next_message()
    ```

    Raises:
        RuntimeError: No event loop runs here.
    """
    return process_draining.event()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=process_draining.reset)
