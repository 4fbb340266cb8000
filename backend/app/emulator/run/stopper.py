"""How a command is ended: signals passed on, a grace period, and nothing left behind."""

import contextlib
import os
import signal
import subprocess
import threading
from types import FrameType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Stopper:
    """Passes SIGTERM, SIGINT and SIGHUP (a closed terminal) on as SIGTERM, and kills when the grace period is over."""

    def __init__(self, grace_seconds: float) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.before_stop: list[Callable[[], None]] = []
        """Called before the command gets its SIGTERM."""
        self.at_end: list[Callable[[], None]] = []
        """Called when the command has ended, while its process id is still its own."""
        self.asked = False
        self._grace_seconds = grace_seconds
        self._timer: threading.Timer | None = None
        self._before: dict[int, object] = {}
        self._woken = threading.Event()

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned

    def wait(self) -> int:
        """The exit code of the command, when it and all it started in its process group are gone."""
        child = self.child
        assert child is not None
        if self.asked:
            self._stop(child)
        # Not reaped yet, its process group cannot be another's: what it left behind can be killed safely.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        for call in self.at_end:
            call()
        self.kill(child)
        self._forget()
        code = child.wait()
        return 128 - code if code < 0 else code

    def pause(self, seconds: float) -> bool:
        """Wait; false when a signal came meanwhile."""
        return not self._woken.wait(seconds)

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """SIGKILL to the whole process group of a command that has not been reaped."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            self._woken.set()
            if self.child is not None:
                self._stop(self.child)

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._grace_seconds, self.kill, [child])
            self._timer.daemon = True
            self._timer.start()
            for call in self.before_stop:
                call()
            # Not child.send_signal, which may reap it behind the back of wait().
            os.kill(child.pid, signal.SIGTERM)

    def _forget(self) -> None:
        """From here on the process id may be another's."""
        self.child = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
