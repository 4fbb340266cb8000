"""Notifications: sent where there is a way, recorded where there is none; every attempt can be looked at."""

import asyncio
import itertools
import json
import smtplib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

import httpx

from ..clock import NANOS
from ..project import Context
from .incidents import Incident
from .messages import NotificationChannel, Raw
from .payload import notification
from .shapes import as_mail, shaped
from .targets import RefusedTargetError, resolve, resolve_host, without_secrets

Event = Literal["opened", "closed", "reminder"]
Status = Literal["waiting", "delivered", "failed", "refused", "recorded", "dropped"]

_WEBHOOKS = {"webhook_tokenauth", "webhook_basicauth"}
_MOST_KEPT = 1000
_MOST_WAITING = 500
_AT_ONCE = 4
# Google says "at least once" and retries, but not how often; these end within two and a half minutes.
_PAUSES_SECONDS = (1, 2, 5, 10, 30, 60)
_TIMEOUT_SECONDS = 10.0
_OK = 200
# SMTP's answer to a message that was taken (RFC 5321).
_MAIL_TAKEN = 250
_UNVERIFIED = NotificationChannel.VerificationStatus.Value("UNVERIFIED")


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
    """The notification in format 1.2."""
    message: dict[str, Any]
    """The same as its channel carries it, secrets as stars."""
    status: Status
    note: str
    created_at: int
    due_at: int
    attempts: list[Attempt] = field(default_factory=list)


class _NoTopicError(Exception):
    pass


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
        # Takes a topic and a message; False when there is no such topic.
        self.publish: Callable[[str, bytes], bool] | None = None
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
            status, note = self._first_status(channel)
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
                    message={} if channel is None else shaped(payload, channel, at, with_secrets=False),
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
        status, note = self._first_status(channel)
        if channel is None or status != "waiting":
            delivery.status, delivery.note = status, note
            return
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                code = await self._send(client, channel, delivery)
        except RefusedTargetError as error:
            delivery.attempts.append(Attempt(now, None, str(error)))
            delivery.status, delivery.note = "refused", str(error)
            return
        except _NoTopicError as error:
            delivery.status, delivery.note = "recorded", str(error)
            return
        except TimeoutError:
            attempt = Attempt(now, None, f"no answer within {_TIMEOUT_SECONDS:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, smtplib.SMTPException, OSError) as error:
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

    async def _send(self, client: httpx.AsyncClient, channel: Raw, delivery: Delivery) -> int:
        """The status that the receiver answered, or what stands for it.

        Raises:
            RefusedTargetError: The receiver must not be called.
            _NoTopicError: Nobody made the Pub/Sub topic.
        """
        message = shaped(delivery.payload, channel, delivery.created_at, with_secrets=True)
        url = self._url(channel)
        if url:
            return await self._post(client, channel, url, message)
        if channel.type_ == "pubsub":
            assert self.publish is not None
            if not self.publish(channel.labels["topic"], json.dumps(delivery.payload).encode()):
                raise _NoTopicError(f"there is no topic {channel.labels['topic']} here")
            return _OK
        return await self._mail(message, f"{delivery.incident_id}-{delivery.id}")

    async def _mail(self, message: dict[str, Any], identifier: str) -> int:
        mail = as_mail(message, identifier)
        switches = self._context.switches
        if switches.mail_folder:
            folder = Path(switches.mail_folder)
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
            await asyncio.to_thread((folder / f"{identifier}.eml").write_bytes, mail.as_bytes())
        if switches.smtp_address:
            host, _, port = switches.smtp_address.rpartition(":")
            place = await resolve_host(host, int(port), anywhere=switches.webhooks_beyond_loopback)
            await asyncio.to_thread(_smtp, str(place), int(port), mail)
        return _MAIL_TAKEN

    def _url(self, channel: Raw) -> str:
        """Where a channel's messages go by HTTP: a webhook's own URL, or the one named for the type or the address."""
        if channel.type_ in _WEBHOOKS:
            url: str = channel.labels["url"]
            return url
        urls = self._context.switches.notification_urls
        return urls.get(_shown_target(channel)) or urls.get(channel.type_, "")

    def _first_status(self, channel: Raw | None) -> tuple[Status, str]:
        if channel is None:
            return "dropped", "the channel was deleted"
        if not channel.enabled.value:
            return "dropped", "the channel is disabled"
        if channel.verification_status == _UNVERIFIED:
            # "The channel has yet to be verified and requires verification to function" (notification.proto).
            return "dropped", "the channel is not verified"
        if self._url(channel) or (channel.type_ == "pubsub" and self.publish is not None):
            return "waiting", ""
        switches = self._context.switches
        if channel.type_ == "email" and (switches.smtp_address or switches.mail_folder):
            return "waiting", ""
        return "recorded", f"the emulator was given no place to send {channel.type_} notifications to"

    async def _post(self, client: httpx.AsyncClient, channel: Raw, url: str, payload: dict[str, Any]) -> int:
        target = await resolve(url, anywhere=self._context.switches.webhooks_beyond_loopback)
        headers = dict(target.headers)
        if channel.type_ == "slack" and channel.labels.get("auth_token"):
            headers["Authorization"] = f"Bearer {channel.labels['auth_token']}"
        basic = channel.type_ == "webhook_basicauth"
        request = client.build_request("POST", target.url, json=payload, headers=headers, extensions=target.extensions)
        auth = httpx.BasicAuth(channel.labels["username"], channel.labels.get("password", "")) if basic else None
        # Only the status counts; the body is not read, so it can be as long as it likes.
        response = await client.send(request, auth=auth, stream=True)
        await response.aclose()
        return response.status_code


def _smtp(host: str, port: int, mail: EmailMessage) -> None:
    with smtplib.SMTP(host, port, local_hostname="localhost", timeout=_TIMEOUT_SECONDS) as server:
        server.send_message(mail)


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
