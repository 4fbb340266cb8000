"""The live picture in the terminal; without a terminal, plain lines when something happens."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .line import EVALUATE_EVERY, EXPORT_SECONDS, Line
from .view import State


class Display:
    """Shows the newest state; `event` lines stay."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._console.print(
            f"Emulator [bold]{self._line.addresses['http']}[/bold] (page), {self._line.addresses['grpc']} (gRPC);"
            f" service [bold]{self._line.service_url}[/bold]\n"
            f"Metrics go out every {EXPORT_SECONDS} s (60 s in production), policies are evaluated every"
            f" {EVALUATE_EVERY}. Ctrl-C ends everything."
        )
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def begin(self) -> None:
        """The first request is on its way: from now on time is counted."""
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def event(self, text: str) -> None:
        self._console.print(f"[dim]{self.elapsed:6.1f} s[/dim]  {text}")

    def update(self, state: State, phase: str) -> None:
        if self._console.is_terminal:
            self._live.update(self._picture(state, phase))

    def _picture(self, state: State, phase: str) -> Panel:
        ledger = self._line.driver.ledger
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", justify="right")
        grid.add_column()
        grid.add_row("traffic", phase)
        grid.add_row("requests sent", f"{ledger.sent}   failed {ledger.failed}")
        grid.add_row("in the emulator", f"{state.series} request series, {state.entries} access entries")
        grid.add_row("error ratio, 5 min", _percent(state.error_ratio))
        grid.add_row("p95 latency, 5 min", "-" if state.p95_seconds is None else f"{state.p95_seconds * 1000:.0f} ms")
        grid.add_row("alert", _alert(state.incidents))
        grid.add_row("notifications", str(len(self._line.receiver.payloads)))
        return Panel(grid, title=f"fastapi-cloudops  {self.elapsed:.0f} s", title_align="left", border_style="blue")


def _percent(ratio: float | None) -> Text:
    if ratio is None:
        return Text("-")
    return Text(f"{ratio:.1%}", style="red bold" if ratio > 0.05 else "")  # noqa: PLR2004  # the policy's threshold


def _alert(incidents: list[dict[str, Any]]) -> Text:
    for incident in incidents:
        if incident.get("state") == "OPEN":
            return Text(f"OPEN  {incident['policy']['displayName']}", style="red bold")
    return Text("closed" if incidents else "none", style="green")
