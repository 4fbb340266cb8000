"""The live picture in the terminal; without a terminal, plain lines when something happens."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .line import Line
from .play import Outcome
from .shortened import spoken
from .stories import Part, Story, failures
from .view import State

_PER_CENT = 0.05  # the threshold of high_error_rate, from which on the figure is red
_SLOW_SECONDS = 2.0  # that of performance_degradation
_MARKS = {"waiting": "[dim]·[/dim]", "now": "[yellow]▶[/yellow]", "done": "[green]✓[/green]", "failed": "[red]✗[/red]"}


class Display:
    """Shows the newest state; `event` lines stay."""

    def __init__(self, line: Line, parts: Sequence[Part]) -> None:
        self._line = line
        self._parts = parts
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._began = time.monotonic()
        self._states = {part.story.name: "waiting" for part in parts}
        self._now: Story | None = None
        self._title = ""

    def __enter__(self) -> Self:
        addresses = self._line.addresses
        self._say(
            f"Emulator [bold]{addresses['http']}[/bold] (page), {addresses['grpc']} (gRPC);"
            f" service [bold]{self._line.service_url}[/bold]\n"
            f"Applied: {len(self._line.applied)} policies, dashboards, checks and channels of terraform/monitoring.\n"
            + "\n".join([spoken(), *self._line.shortened])
            + "\nCtrl-C ends everything."
        )
        self._began = time.monotonic()
        if self.is_live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_live(self) -> bool:
        return self._console.is_terminal

    def stop(self) -> None:
        """The picture stays as it is; lines may follow."""
        if self.is_live:
            self._live.stop()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def event(self, text: str) -> None:
        """One line with the time; `text` may hold rich's markup."""
        self._say(f"[dim]{self.elapsed:6.1f} s[/dim]  {text}")

    def begins(self, number: int, story: Story) -> None:
        self._now = story
        self._states[story.name] = "now"
        self._say(f"\n[bold]{number} of {len(self._parts)}  {story.title}[/bold]")
        self.event(story.what)

    def opened(self, policy: str) -> None:
        self.event(f"[red bold]alert open:[/red bold] {escape(self._line.view.display_name(policy))}")

    def ends(self, outcome: Outcome) -> None:
        story, view = outcome.story, self._line.view
        self._states[story.name] = "failed" if outcome.missing else "done"
        if outcome.missing:
            self.event(f"[red bold]without this after {outcome.seconds:.0f} s:[/red bold] {', '.join(outcome.missing)}")
        elif story.opens:
            told = ", ".join(
                f"{policy} after {seconds:.0f} s" for policy, seconds in outcome.alerts if policy in story.opens
            )
            self.event(f"told to the webhook: {told}")
        else:
            statuses = self._line.driver.ledger.statuses(story.name)
            self.event(f"{statuses.total()} requests answered, {failures(statuses)} with 5xx")
        for policy in story.closes:
            if not any(policy in words for words in outcome.missing):
                self.event(f"[green]alert closed:[/green] {escape(view.display_name(policy))}")
        self._say(f"          look     {view.dashboard_url(story.dashboard)}\n                   ({story.look})")
        for policy in dict.fromkeys([*story.opens, *(policy for policy, _ in outcome.alerts), *story.closes]):
            self._say(f"          runbook  {view.runbook_url(policy)}")

    def stays(self) -> None:
        """All is played; the line goes on."""
        self._now = None
        self._title = "played; ordinary traffic goes on, incidents close when their windows have passed; Ctrl-C ends it"

    def update(self, state: State) -> None:
        if self.is_live:
            self._live.update(self._picture(state))

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def _picture(self, state: State) -> Panel:
        ledger = self._line.driver.ledger
        statuses = ledger.statuses()
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", justify="right")
        grid.add_column()
        stories = [f"{_MARKS[self._states[part.story.name]]} {part.story.title}" for part in self._parts]
        grid.add_row("stories", Text.from_markup("   ".join(stories)))
        grid.add_row("now", self._now.what if self._now else self._title)
        grid.add_row(
            "requests", f"{ledger.sent} sent, {statuses[429]} refused with 429, {failures(statuses)} failed with 5xx"
        )
        grid.add_row("failing, 5 min", _share(state.error_ratio))
        grid.add_row("refused, 5 min", _share(state.refused_ratio))
        grid.add_row("95th percentile, 5 min", _time(state.p95_seconds))
        grid.add_row("alerts open", self._alerts(state))
        grid.add_row("notifications", str(len(self._line.receiver.payloads)))
        return Panel(grid, title=f"fastapi-cloudops  {self.elapsed:.0f} s", title_align="left", border_style="blue")

    def _alerts(self, state: State) -> Text:
        shown = sorted({one.policy for one in state.incidents if one.closed is None})
        if shown:
            return Text("\n".join(self._line.view.display_name(policy) for policy in shown), style="red bold")
        return Text("none", style="green")


def _share(ratio: float | None) -> Text:
    if ratio is None:
        return Text("-")
    return Text(f"{ratio:.1%}", style="red bold" if ratio > _PER_CENT else "")


def _time(seconds: float | None) -> Text:
    if seconds is None:
        return Text("-")
    shown = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
    return Text(shown, style="red bold" if seconds > _SLOW_SECONDS else "")
