"""TailLogEntries: entries as they arrive, held back for a moment so that late ones still come in order."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

from google.cloud.logging_v2.types import TailLogEntriesResponse

from ..clock import NANOS
from ..project import Context
from ..status import ApiError, Code, invalid, missing_field
from .buckets import Buckets
from .config_rules import compiled
from .query import Query
from .record import Record, nanos
from .scope import Scope
from .sinks import matches

_Response = TailLogEntriesResponse.pb()
_REASONS = TailLogEntriesResponse.SuppressionInfo.Reason

# "Valid values are between 0-60000 milliseconds. Defaults to 2000 milliseconds" (logging.proto).
_LONGEST_WINDOW, _DEFAULT_WINDOW = 60 * NANOS, 2 * NANOS
# docs.cloud.google.com/logging/quotas: live-tailing sessions of a project, and entries a minute.
_SESSIONS = 10
_MINUTE, _PER_MINUTE = 60 * NANOS, 60_000
# Ours: entries that wait for a client which does not read, and entries of one response.
_WAITING = 10_000
_PER_RESPONSE = 500


class Tails:
    """The sessions of a project."""

    def __init__(self, context: Context, buckets: Buckets) -> None:
        self._context = context
        self._buckets = buckets
        self._sessions: list[_Session] = []

    def offer(self, records: Sequence[Record]) -> None:
        for session in self._sessions:
            session.offer(records)

    async def follow(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Answer one stream: its first request says what is wanted, later ones are read and left alone.

        Raises:
            ApiError: INVALID_ARGUMENT for a wrong request, RESOURCE_EXHAUSTED for one session too many.
        """
        request = await anext(requests, None)
        if request is None:
            raise missing_field("resource_names")
        session = self._session(request)
        self._sessions.append(session)
        try:
            async for response in session.responses():
                yield response
        finally:
            self._sessions.remove(session)

    def _session(self, request: Any) -> "_Session":
        scope = Scope(request.resource_names, self._buckets, self._context)
        query = compiled(request.filter)
        window = nanos(request.buffer_window) if request.HasField("buffer_window") else _DEFAULT_WINDOW
        if not 0 <= window <= _LONGEST_WINDOW:
            raise invalid("buffer_window must be between 0 and 60000 milliseconds.")
        if len(self._sessions) >= _SESSIONS:
            raise ApiError(Code.RESOURCE_EXHAUSTED, f"A project has at most {_SESSIONS} live-tailing sessions.")
        return _Session(self._context, scope, query, window / NANOS)


class _Session:
    def __init__(self, context: Context, scope: Scope, query: Query, window: float) -> None:
        self._clock = context.clock
        self._scope = scope
        self._query = query
        self._window = window
        self._waiting: deque[Record] = deque()
        self._suppressed: Counter[Any] = Counter()
        self._news = asyncio.Event()
        self._minute, self._taken = 0, 0

    def offer(self, records: Sequence[Record]) -> None:
        self._scope.refresh()
        for record in records:
            if not (matches(self._query, record) and self._scope.holds(record)):
                continue
            if len(self._waiting) >= _WAITING:
                self._suppressed[_REASONS.NOT_CONSUMED] += 1
            elif not self._has_room():
                self._suppressed[_REASONS.RATE_LIMIT] += 1
            else:
                self._waiting.append(record)
            self._news.set()

    def _has_room(self) -> bool:
        minute = self._clock.now() // _MINUTE
        if minute != self._minute:
            self._minute, self._taken = minute, 0
        self._taken += 1
        return self._taken <= _PER_MINUTE

    async def responses(self) -> AsyncIterator[Any]:
        while True:
            await self._news.wait()
            # Real seconds on purpose: a client waits for them, whatever the emulated clock says.
            await asyncio.sleep(self._window)
            self._news.clear()
            batch = sorted(self._waiting, key=lambda record: record.key)
            self._waiting.clear()
            for start in range(0, max(len(batch), 1), _PER_RESPONSE):
                yield self._response(batch[start : start + _PER_RESPONSE])

    def _response(self, records: list[Record]) -> Any:
        response = _Response(entries=[record.entry for record in records])
        for reason, count in sorted(self._suppressed.items()):
            response.suppression_info.add(reason=reason, suppressed_count=count)
        self._suppressed.clear()
        return response
