"""SIGTERM kept from an event loop for a while: servers that use `loop.add_signal_handler` hear it from the loop.

A loop learns of signals through the descriptor that Python writes their numbers to, beside every handler. Standing in
between is the one way to delay it that asks neither loop nor server for its private parts.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Undo = Callable[[], None]
# A server may run its loop once for the lifespan's start and once more to serve; uvloop sets the descriptor each time.
_AGAIN_SECONDS = (0.05, 0.5, 2.0)


def hold_sigterm(held: Callable[[], bool]) -> Undo | None:
    """Keep SIGTERM from the running loop while `held` says so; other signals pass. The returned function ends that.

    None where no loop of the main thread listens to signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    loops = signal.set_wakeup_fd(-1)
    if loops < 0:
        return None
    ours, pythons = socket.socketpair()
    ours.setblocking(False)
    pythons.setblocking(False)
    signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)

    def stand_between() -> None:
        nonlocal loops
        found = signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)
        if found not in {-1, pythons.fileno()}:
            loops = found

    def forward() -> None:
        with suppress(BlockingIOError, InterruptedError):
            numbers = ours.recv(4096)
            os.write(loops, bytes(one for one in numbers if one != signal.SIGTERM or not held()))

    def undo() -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # who ends in another thread ends the process
        now = signal.set_wakeup_fd(-1)
        with suppress(ValueError, OSError):  # the loop has closed its own
            signal.set_wakeup_fd(loops if now == pythons.fileno() else now)
        for timer in timers:
            timer.cancel()
        with suppress(RuntimeError, ValueError):  # the loop is closed
            loop.remove_reader(ours)
        ours.close()
        pythons.close()

    loop.add_reader(ours, forward)
    timers = [loop.call_later(seconds, stand_between) for seconds in _AGAIN_SECONDS]
    return undo
