"""The engine over scripted looks: time is a number here."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from demo.play import Outcome, play
from demo.stories import Incident, Part, Seen, Story

ALERT = Story("alert", "Alert", "It burns.", "Overview", "", seconds=10, most=30, opens=("fire",))
CALM = Story("calm", "Calm", "Nothing burns.", "Overview", "", seconds=5, most=10, healthy=10)
FIRE = frozenset({("fire", "open")})


class Script:
    """A stage whose looks are written down, by the second of the demo."""

    def __init__(self, looks: dict[float, Seen | None]) -> None:
        self.time = 1000.0
        self.happened: list[str] = []
        self._looks = looks

    def now(self) -> float:
        return self.time

    async def pause(self, seconds: float) -> None:
        self.time += seconds

    @asynccontextmanager
    async def act(self, story: Story) -> AsyncIterator[None]:
        self.happened.append(f"act {story.name}")
        yield
        self.happened.append(f"end of act {story.name}")

    async def look(self, story: Story, began: float) -> Seen | None:
        del story
        found = self._looks[max(at for at in self._looks if at <= self.time - 1000)]
        return found and Seen(began, incidents=found.incidents, told=found.told, statuses=found.statuses)

    def begins(self, number: int, story: Story) -> None:
        self.happened.append(f"{number} {story.name}")

    def opened(self, policy: str) -> None:
        self.happened.append(f"{policy} at {self.time - 1000:g}")

    def ends(self, outcome: Outcome) -> None:
        self.happened.append(f"{outcome.story.name} over: {', '.join(outcome.missing) or 'all'}")

    async def play(self, parts: Sequence[Part], least: float = 0.0) -> list[Outcome]:
        return await play(parts, self, least=least, now=self.now, pause=self.pause)


async def test_a_story_goes_on_until_its_alert_is_told():
    incidents = (Incident("fire", opened=1002.5),)
    script = Script({0: Seen(0), 3: Seen(0, incidents=incidents), 4: Seen(0, incidents=incidents, told=FIRE)})

    [outcome] = await script.play([Part(ALERT, 30)])

    assert script.happened == ["1 alert", "act alert", "fire at 3", "end of act alert", "alert over: all"]
    assert outcome == Outcome(ALERT, (), (("fire", 2.5),), 4.0)


async def test_a_story_whose_time_is_over_failed_and_the_next_is_played():
    script = Script({0: Seen(0), 12: Seen(0, statuses={200: 10})})

    first, second = await script.play([Part(ALERT, 10), Part(CALM, 20)])

    assert first.missing == ("the alert fire", "the notification of fire")
    assert first.seconds == 10.0
    assert second.missing == ()
    assert second.seconds == 2.0


async def test_a_look_that_fails_is_followed_by_another():
    script = Script({0: None, 2: Seen(0, statuses={200: 10})})
    [outcome] = await script.play([Part(CALM, 20)])
    assert (outcome.missing, outcome.seconds) == ((), 2.0)


async def test_for_a_reader_a_story_lasts_although_all_has_happened():
    script = Script({0: Seen(0, statuses={200: 10})})
    [outcome] = await script.play([Part(CALM, 60)], least=20.0)
    assert outcome.seconds == 20.0


async def test_a_failure_later_in_the_same_story_counts():
    script = Script({0: Seen(0, statuses={200: 10}), 5: Seen(0, statuses={200: 20, 500: 1})})
    [outcome] = await script.play([Part(CALM, 10)], least=8.0)
    assert outcome.missing == ("answers without 5xx (1 failed)",)
