"""Alerting without wires: services, evaluator and notifier on a clock that a test moves."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Self

import httpx
import numpy as np
from google.cloud.monitoring_v3 import types
from google.protobuf import json_format

from app.emulator.alerting.evaluator import AlertEvaluator
from app.emulator.alerting.incidents import Incidents
from app.emulator.alerting.life import Transition
from app.emulator.alerting.log_match import LogFeed
from app.emulator.alerting.messages import AlertPolicy, NotificationChannel
from app.emulator.alerting.notify import Notifier
from app.emulator.alerting.selection import MetricSource
from app.emulator.alerting.service import AlertPolicyService, NotificationChannelService
from app.emulator.alerting.snoozes import SnoozeService
from app.emulator.alerttest import AlertTester
from app.emulator.alerttest.notation import seconds_of
from app.emulator.clock import NANOS, ManualClock
from app.emulator.journal import Journal, MemoryJournal, Record
from app.emulator.monitoring.service import MetricService
from app.emulator.monitoring.store import MetricStore
from app.emulator.project import Context, Switches
from app.emulator.promql.model import Matcher, Sampled, label_filter

PROJECT = "projects/demo"


class Source:
    """Samples that a test sets: each series has one value from now until it is set again or taken away."""

    def __init__(self) -> None:
        self.values: dict[tuple[tuple[str, str], ...], float] = {}

    def set(self, value: float | None, name: str = "m", **labels: str) -> None:
        key = tuple(sorted({"__name__": name, **labels}.items()))
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> list[Sampled]:
        holds = label_filter(matchers)
        times = np.array([end], dtype=np.int64)
        return [Sampled(dict(key), times, np.array([value])) for key, value in self.values.items() if holds(dict(key))]


class Journalled:
    """Keeps records in memory, as a data directory keeps them on disk."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes]] = []

    def append(self, kind: str, record: bytes, until: int = 0) -> None:
        del until
        self.kept.append((kind, record))

    def forget(self, kind: str, before: int) -> int:
        del kind, before
        return 0

    def records(self) -> Iterator[Record]:
        return (Record(kind, body) for kind, body in self.kept)

    def size(self) -> int:
        return sum(len(body) for _, body in self.kept)


class Workbench:
    """Two sources of series: `source` for PromQL, `store` (through `write`) for metric conditions."""

    def __init__(
        self,
        *,
        every: float | None = None,
        journal: Journal | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        **switches: Any,
    ) -> None:
        self.clock = ManualClock()
        self.context = Context(clock=self.clock, journal=journal or MemoryJournal(), switches=Switches(**switches))
        self.source = Source()
        self.channels = NotificationChannelService(self.context)
        self.policies = AlertPolicyService(self.context, None, self.channels)
        self.incidents = Incidents(self.context)
        self.notifier = Notifier(self.context, self.channels.channel, transport=transport)
        self.snoozes = SnoozeService(self.context, self.policies.has)
        self.store = MetricStore()
        self.metrics = MetricService(self.context, self.store)
        self.logs = LogFeed()
        self.warnings: list[str] = []
        self.evaluator = AlertEvaluator(
            self.context,
            self.policies,
            self.source,
            self.notifier,
            self.incidents,
            series=MetricSource(self.store),
            logs=self.logs,
            snoozes=self.snoozes,
            every=every,
            warn=self.warnings.append,
        )

    def create(self, policy: dict[str, Any]) -> Any:
        return self.policies.create_alert_policy(create_policy(policy))

    def update(self, policy: Any, *paths: str) -> Any:
        request = types.UpdateAlertPolicyRequest.pb()(alert_policy=policy)
        request.update_mask.paths.extend(paths)
        return self.policies.update_alert_policy(request)

    def delete(self, policy: Any) -> None:
        self.policies.delete_alert_policy(types.DeleteAlertPolicyRequest.pb()(name=policy.name))

    def channel(self, kind: str = "webhook_tokenauth", **labels: str) -> Any:
        channel = NotificationChannel(type_=kind, display_name="test", labels=labels)
        request = types.CreateNotificationChannelRequest.pb()(name=PROJECT, notification_channel=channel)
        return self.channels.create_notification_channel(request)

    def stored(self, channel: Any) -> Any:
        """A channel as it is kept, with its secrets."""
        found = self.channels.channel(channel.name)
        assert found is not None
        return found

    def evaluate(self, after: float = 0.0, *, force: bool = False) -> list[Transition]:
        """Move the clock by `after` seconds and evaluate."""
        self.clock.advance(after)
        return self.evaluator.evaluate(self.clock.now(), force=force)

    def evaluate_until(self, seconds: float, step: float = 1.0) -> list[tuple[float, str]]:
        """Evaluate every `step` seconds for `seconds`; what changed, with the seconds since the call."""
        start = self.clock.now()
        seen: list[tuple[float, str]] = []
        for _ in range(round(seconds / step)):
            seen += [((one.at - start) / NANOS, one.kind) for one in self.evaluate(step)]
        return seen


def parse_policy(policy: dict[str, Any]) -> Any:
    return json_format.ParseDict(policy, AlertPolicy())


def create_policy(policy: dict[str, Any]) -> Any:
    return types.CreateAlertPolicyRequest.pb()(name=PROJECT, alert_policy=parse_policy(policy))


def promql_policy(query: str = "m > 1", *, strategy: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A policy with one PromQL condition; fields in camelCase belong to the condition."""
    policy: dict[str, Any] = {
        "displayName": "Policy",
        "combiner": "OR",
        "severity": "ERROR",
        "userLabels": {"team": "platform"},
        "conditions": [
            {
                "displayName": "Condition",
                "conditionPrometheusQueryLanguage": {"query": query, "disableMetricValidation": True, **fields},
            }
        ],
    }
    if strategy is not None:
        policy["alertStrategy"] = strategy
    return policy


METRIC = "custom.googleapis.com/m"
RESOURCE = {"type": "gce_instance", "instance_id": "1", "zone": "us-central1-a"}


def threshold(
    limit: float = 5, *, metric: str = METRIC, period: str = "60s", aligner: str = "ALIGN_MEAN", **fields: Any
) -> dict[str, Any]:
    """A threshold condition: over `limit`, unless `fields` say otherwise."""
    body: dict[str, Any] = {
        "filter": f'metric.type="{metric}" resource.type="gce_instance"',
        "comparison": "COMPARISON_GT",
        "thresholdValue": limit,
        "duration": "0s",
        "aggregations": [{"alignmentPeriod": period, "perSeriesAligner": aligner}],
    }
    return {"displayName": "Condition", "conditionThreshold": body | fields}


def absent(duration: str = "300s", *, metric: str = METRIC, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "filter": f'metric.type="{metric}" resource.type="gce_instance"',
        "duration": duration,
        "aggregations": [{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MEAN"}],
    }
    return {"displayName": "Condition", "conditionAbsent": body | fields}


def log_match(
    filter_: str, extractors: dict[str, str] | None = None, *, period: str = "300s", **strategy: Any
) -> dict[str, Any]:
    """A whole policy, because a log condition stands alone and needs a rate limit."""
    body = {"filter": filter_, "labelExtractors": extractors or {}}
    return {
        "displayName": "Policy",
        "combiner": "OR",
        "conditions": [{"displayName": "Condition", "conditionMatchedLog": body}],
        "alertStrategy": {"notificationRateLimit": {"period": period}, **strategy},
    }


def policy_of(*conditions: dict[str, Any], combiner: str = "OR", **fields: Any) -> dict[str, Any]:
    return {"displayName": "Policy", "combiner": combiner, "conditions": list(conditions), **fields}


def alerts_of(*conditions: dict[str, Any], **fields: Any) -> AlertTester:
    """A tester with one policy, called Policy."""
    tester = AlertTester()
    tester.add(policy_of(*conditions, **fields))
    return tester


def states_of(tester: AlertTester, until: str, *, step: str = "60s", **labels: str) -> list[tuple[float, str]]:
    """The states of the policy on the way, each with the minute at which it began."""
    seen: list[tuple[float, str]] = []
    while tester.clock.seconds <= seconds_of(until):
        tester.clock.advance(0)
        state = tester.state("Policy", labels)
        if not seen or seen[-1][1] != state:
            seen.append((tester.clock.seconds / 60, state))
        tester.clock.advance(step)
    return seen


class WebhookServer:
    """A real HTTP/1.1 receiver on this machine; while `hold` is set and not released it accepts and says nothing."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.bodies: list[bytes] = []
        self.hold: asyncio.Event | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.set()
        self._server.close()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [
                line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            ]
            self.bodies.append(await reader.readexactly(int(lengths[0])))
            if self.hold is not None:
                await self.hold.wait()
            writer.write(b"HTTP/1.1 %d Answer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.status)
            await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
