"""Messages on their way from a topic to its subscribers; what is not acknowledged survives with the journal."""

import asyncio
import base64
import binascii
import datetime as dt
import itertools
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import httpx
import orjson

from ..alerting.targets import RefusedTargetError, resolve
from ..clock import NANOS
from ..project import Context
from ..status import invalid, missing_field
from .documents import Json, only

PUBLISHED = "platform.message"
ACKNOWLEDGED = "platform.message_acknowledged"

# cloud.google.com/pubsub/quotas, "Resource limits".
_MOST_MESSAGES, _MOST_BYTES = 1000, 10_000_000
_MOST_ATTRIBUTES, _KEY_BYTES, _VALUE_BYTES = 100, 256, 1024
# Ours: what a subscription that nobody reads keeps in memory.
_MOST_WAITING = 10_000
_RETENTION = 7 * 86_400 * NANOS  # pubsub.proto, Subscription.message_retention_duration: the default
_MESSAGE = frozenset({"data", "attributes", "messageId", "publishTime", "orderingKey"})
# cloud.google.com/pubsub/docs/push: these acknowledge, anything else is tried again, 100 ms to 60 s later.
_TAKEN = frozenset({102, 200, 201, 202, 204})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 60.0
_TIMEOUT_SECONDS = 10.0


class Messages:
    def __init__(self, context: Context, endpoint: Callable[[str], str]) -> None:
        """`endpoint` answers where a subscription wants its messages pushed, if anywhere."""
        self._context = context
        self._endpoint = endpoint
        self._waiting: dict[str, OrderedDict[str, Json]] = {}
        self._leases: dict[tuple[str, str], int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ids = itertools.count(1)

    def publish(self, messages: Any, subscriptions: list[str]) -> list[str]:
        checked = _checked(messages)
        now = self._context.clock.now()
        moment = dt.datetime.fromtimestamp(now // NANOS, dt.UTC)
        published = [
            {
                **{
                    key: value
                    for key, value in message.items()
                    if key in {"data", "attributes", "orderingKey"} and value
                },
                # Rising across restarts as well.
                "messageId": str(now + next(self._ids)),
                "publishTime": f"{moment:%Y-%m-%dT%H:%M:%S}.{now % NANOS // 1_000_000:03d}Z",
            }
            for message in checked
        ]
        if subscriptions:
            record = orjson.dumps([subscriptions, published])
            self._context.journal.append(PUBLISHED, record, int(published[-1]["messageId"]))
        self._put(subscriptions, published)
        self.wake()
        return [message["messageId"] for message in published]

    def waiting(self, subscription: str, most: int, lease_seconds: int) -> list[Json]:
        """Messages that nobody holds; they come again unless they are acknowledged in time."""
        now = self._context.clock.now()
        found: list[Json] = []
        for message_id, message in self._waiting.get(subscription, {}).items():
            if len(found) == most:
                break
            if self._leases.get((subscription, message_id), 0) <= now:
                self._leases[subscription, message_id] = now + lease_seconds * NANOS
                found.append(message)
        return found

    def acknowledge(self, subscription: str, message_ids: list[str]) -> None:
        known = self._waiting.get(subscription) or OrderedDict[str, Json]()
        if any(message_id in known for message_id in message_ids):
            record = orjson.dumps([subscription, message_ids])
            self._context.journal.append(ACKNOWLEDGED, record, self._context.clock.now())
            self._take(subscription, message_ids)

    def sweep(self) -> None:
        """Let go of messages older than a week, and of the records of messages that nobody waits for."""
        now = self._context.clock.now()
        for subscription, messages in self._waiting.items():
            self._take(subscription, [one for one in messages if int(one) < now - _RETENTION])
        waiting = (int(one) for messages in self._waiting.values() for one in messages)
        before = min(waiting, default=now) - 1
        for kind in (PUBLISHED, ACKNOWLEDGED):
            self._context.journal.forget(kind, before)

    def drop(self, subscription: str) -> None:
        """The subscription is deleted."""
        self._take(subscription, list(self._waiting.get(subscription, {})))

    def restore(self, kind: str, record: bytes) -> bool:
        if kind == PUBLISHED:
            subscriptions, messages = orjson.loads(record)
            self._put(subscriptions, messages)
        elif kind == ACKNOWLEDGED:
            subscription, message_ids = orjson.loads(record)
            self._take(subscription, message_ids)
        else:
            return False
        return True

    def wake(self) -> None:
        """Push what waits, in the background; without a running loop it waits for the next call."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        for subscription, messages in self._waiting.items():
            task = self._tasks.get(subscription)
            if messages and self._endpoint(subscription) and (task is None or task.done()):
                self._tasks[subscription] = loop.create_task(self._push(subscription))

    async def run(self) -> None:
        """Push until cancelled: first what was left from an earlier run."""
        try:
            self.wake()
            await asyncio.Event().wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._tasks.clear()

    def _put(self, subscriptions: list[str], messages: list[Json]) -> None:
        for subscription in subscriptions:
            known = self._waiting.setdefault(subscription, OrderedDict())
            for message in messages:
                known[message["messageId"]] = message
            while len(known) > _MOST_WAITING:
                self._leases.pop((subscription, known.popitem(last=False)[0]), None)

    def _take(self, subscription: str, message_ids: list[str]) -> None:
        known = self._waiting.get(subscription, OrderedDict())
        for message_id in message_ids:
            known.pop(message_id, None)
            self._leases.pop((subscription, message_id), None)

    async def _push(self, subscription: str) -> None:
        pause = _FIRST_PAUSE
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            while (endpoint := self._endpoint(subscription)) and self._waiting.get(subscription):
                message_id, message = next(iter(self._waiting[subscription].items()))
                try:
                    taken = await self._send(client, endpoint, subscription, message)
                except RefusedTargetError as error:
                    sys.stderr.write(f"Messages of {subscription} are not pushed: {error}\n")
                    return
                if taken:
                    self.acknowledge(subscription, [message_id])
                    pause = _FIRST_PAUSE
                else:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)

    async def _send(self, client: httpx.AsyncClient, endpoint: str, subscription: str, message: Json) -> bool:
        """The wrapped form of cloud.google.com/pubsub/docs/push, whose names come in both spellings."""
        anywhere = self._context.switches.webhooks_beyond_loopback
        both = {"message_id": message["messageId"], "publish_time": message["publishTime"]}
        body = orjson.dumps({"message": message | both, "subscription": subscription})
        try:
            target = await resolve(endpoint, anywhere=anywhere)
            headers = {**target.headers, "Content-Type": "application/json"}
            answer = await client.post(target.url, content=body, headers=headers, extensions=target.extensions)
        except (httpx.HTTPError, OSError):
            return False
        return answer.status_code in _TAKEN


def _checked(messages: Any) -> list[Json]:
    if not isinstance(messages, list) or not messages:
        raise missing_field("messages")
    if len(messages) > _MOST_MESSAGES:
        raise invalid(f"A request publishes at most {_MOST_MESSAGES} messages, not {len(messages)}.")
    size = 0
    for message in messages:
        only(message, _MESSAGE, "messages")
        attributes, data = message.get("attributes") or {}, message.get("data") or ""
        if not data and not attributes:
            raise invalid("A message must have data or at least one attribute.")
        if not isinstance(data, str) or not isinstance(attributes, dict):
            raise invalid("A message's data is a text in base64, its attributes are an object.")
        try:
            size += len(base64.b64decode(data, validate=True))
        except (binascii.Error, ValueError):
            raise invalid("Invalid value at 'messages[0].data' (TYPE_BYTES), Base64 decoding failed.") from None
        if len(attributes) > _MOST_ATTRIBUTES:
            raise invalid(f"A message has at most {_MOST_ATTRIBUTES} attributes.")
        for key, value in attributes.items():
            if not isinstance(value, str) or len(key.encode()) > _KEY_BYTES or len(value.encode()) > _VALUE_BYTES:
                raise invalid(
                    f"The attribute '{key[:40]}' is no text, or longer than {_KEY_BYTES}/{_VALUE_BYTES} bytes."
                )
    if size > _MOST_BYTES:
        raise invalid(f"A request has at most {_MOST_BYTES} bytes of data.")
    return messages
