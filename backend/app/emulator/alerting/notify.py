"""Notifications: webhooks are sent, everything else is recorded; every attempt can be looked at."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from ..clock import NANOS
from ..project import Context
from .incidents import Incident
from .messages import Raw
from .payload import notification
from .targets import RefusedTargetError, resolve, without_secrets

Event = Literal["opened", "closed", "reminder"]
Status = Literal["waiting", "delivered", "failed", "refused", "recorded", "dropped"]

_WEBHOOKS = {"webhook_tokenauth", "webhook_basicauth"}
_MOST_KEPT = 1000
_MOST_WAITING = 500
_AT_ONCE = 4
# Google says "at least once" and retries, but not how often; these end within two and a half minutes.
_PAUSES_SECONDS = (1, 2, 5, 10, 30, 60)
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Attempt:
    at: int
    """Nanoseconds since the epoch."""
    status_code: int | None
    error: str = ""


@dataclass(slots=True)
class Delivery:
    """One notification to one channel."""

    id: int
    event: Event
    incident_id: str
    policy: str
    channel: str
    channel_type: str
    channel_display_name: str
    target: str
    """What people may see of the address: no token, no password."""
    payload: dict[str, Any]
    status: Status
    note: str
    created_at: int
    due_at: int
    attempts: list[Attempt] = field(default_factory=list)


class Notifier:
    """Takes notifications from any thread, sends them when `deliver_due` is awaited.

    Deliveries are at least once, with a bounded number of tries. They are not journalled: what waits when the emulator
    ends is lost; the incident itself is kept.
    """

    def __init__(
        self,
        context: Context,
        channel: Callable[[str], Raw | None],
        *,
        page: Callable[[], str] = str,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`channel` finds a channel with its secrets; `page` is the address of the console, known once it listens."""
        self._context = context
        self._channel = channel
        self._page = page
        self._transport = transport
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._kept: list[Delivery] = []
        # What is being sent right now; only the event loop's thread looks at it.
        self._in_flight: set[int] = set()

    def deliveries(self) -> list[Delivery]:
        """Newest first."""
        with self._lock:
            return self._kept[::-1]

    def notify(self, event: Event, incident: Incident, policy: Raw, channels: list[str], at: int) -> None:
        if not channels:
            return
        payload = notification(self._context, policy, incident, self._page())
        waiting = sum(one.status == "waiting" for one in self.deliveries())
        for name in channels:
            channel = self._channel(name)
            status, note = _first_status(channel)
            if status == "waiting" and waiting >= _MOST_WAITING:
                status, note = "dropped", f"more than {_MOST_WAITING} notifications were waiting"
            waiting += status == "waiting"
            kind = channel.type_ if channel is not None else ""
            self._keep(
                Delivery(
                    id=next(self._ids),
                    event=event,
                    incident_id=incident.id,
                    policy=policy.display_name,
                    channel=name,
                    channel_type=kind,
                    channel_display_name=channel.display_name if channel is not None else "",
                    target=_shown_target(channel),
                    payload=payload,
                    status=status,
                    note=note,
                    created_at=at,
                    due_at=at,
                )
            )

    def _keep(self, delivery: Delivery) -> None:
        """Add one, and forget the oldest that is done: what still waits is never forgotten."""
        with self._lock:
            self._kept.append(delivery)
            if len(self._kept) > _MOST_KEPT:
                self._kept.remove(next(one for one in self._kept if one.status != "waiting"))

    def has_due(self, now: int) -> bool:
        return any(self._is_due(one, now) for one in self.deliveries())

    def _is_due(self, delivery: Delivery, now: int) -> bool:
        return delivery.status == "waiting" and delivery.due_at <= now and delivery.id not in self._in_flight

    async def deliver_due(self, now: int) -> int:
        """Send what is due at `now` (ns), to each channel a few at once; answers how many attempts were made.

        May be called again before an earlier call is done, so that a target that does not answer holds up no other one.
        """
        due = [one for one in self.deliveries()[::-1] if self._is_due(one, now)]
        if not due:
            return 0
        self._in_flight.update(one.id for one in due)
        places = {one.channel: asyncio.Semaphore(_AT_ONCE) for one in due}
        # trust_env: a proxy in the environment would be asked for our loopback. Redirects could lead away from it.
        async with httpx.AsyncClient(trust_env=False, follow_redirects=False, transport=self._transport) as client:

            async def one(delivery: Delivery) -> None:
                try:
                    async with places[delivery.channel]:
                        await self._attempt(client, delivery, now)
                finally:
                    self._in_flight.discard(delivery.id)

            await asyncio.gather(*(one(delivery) for delivery in due))
        return len(due)

    async def _attempt(self, client: httpx.AsyncClient, delivery: Delivery, now: int) -> None:
        channel = self._channel(delivery.channel)
        status, note = _first_status(channel)
        if channel is None or status != "waiting":
            delivery.status, delivery.note = status, note
            return
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                code = await self._post(client, channel, delivery.payload)
        except RefusedTargetError as error:
            delivery.attempts.append(Attempt(now, None, str(error)))
            delivery.status, delivery.note = "refused", str(error)
            return
        except TimeoutError:
            attempt = Attempt(now, None, f"no answer within {_TIMEOUT_SECONDS:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            attempt = Attempt(now, None, f"{type(error).__name__}: {error}".removesuffix(": "))
        else:
            attempt = Attempt(now, code, "" if 200 <= code < 300 else f"answered {code}")  # noqa: PLR2004  # any success
        delivery.attempts.append(attempt)
        if not attempt.error:
            delivery.status = "delivered"
        elif len(delivery.attempts) > len(_PAUSES_SECONDS):
            delivery.status, delivery.note = "failed", f"given up after {len(delivery.attempts)} attempts"
        else:
            delivery.due_at = now + _PAUSES_SECONDS[len(delivery.attempts) - 1] * NANOS

    async def _post(self, client: httpx.AsyncClient, channel: Raw, payload: dict[str, Any]) -> int:
        target = await resolve(channel.labels["url"], anywhere=self._context.switches.webhooks_beyond_loopback)
        basic = channel.type_ == "webhook_basicauth"
        request = client.build_request(
            "POST", target.url, json=payload, headers=target.headers, extensions=target.extensions
        )
        auth = httpx.BasicAuth(channel.labels["username"], channel.labels.get("password", "")) if basic else None
        # Only the status counts; the body is not read, so it can be as long as it likes.
        response = await client.send(request, auth=auth, stream=True)
        await response.aclose()
        return response.status_code


def _first_status(channel: Raw | None) -> tuple[Status, str]:
    if channel is None:
        return "dropped", "the channel was deleted"
    if not channel.enabled.value:
        return "dropped", "the channel is disabled"
    if channel.type_ not in _WEBHOOKS:
        return "recorded", f"the emulator records {channel.type_} notifications, it does not send them"
    return "waiting", ""


def _shown_target(channel: Raw | None) -> str:
    if channel is None:
        return ""
    if channel.type_ in _WEBHOOKS:
        return without_secrets(channel.labels["url"])
    for key in ("email_address", "number", "channel_name", "topic", "space"):
        if key in channel.labels:
            address: str = channel.labels[key]
            return address
    return ""
