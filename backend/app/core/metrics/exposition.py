"""Metrics as Prometheus reads them, for Managed Prometheus collection and for a look with curl.

Formats: prometheus.io/docs/instrumenting/exposition_formats (text 0.0.4) and
prometheus.io/docs/specs/om/open_metrics_spec (OpenMetrics 1.0, which has exemplars). One answer tells one process: a
worker that is scraped tells of itself alone.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .catalogue import Metric
from .cells import Cell, Exemplar, Series, Store

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_EXACT: Final = 2**53
_WORDS: Final = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": "ratio", "%": "percent"}
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n"})


class Exposition:
    """Writes the metrics of one app and its process.

    Args:
        store: The cells to read.
        job: The app's service: series of other apps in this process are left to their own routes.
        refresh: Brings gauges up to date; may block, so it runs beside the event loop.
        alone: No exporter reads the store: then the guards of open labels settle here.
    """

    def __init__(self, store: Store, job: str, refresh: Callable[[], None], *, alone: bool = False) -> None:
        self._read = store.snapshot if alone else store.peek
        self._jobs = {"", job}
        self._refresh = refresh
        self._running: dict[str, asyncio.Task[bytes]] = {}

    def render(self, content_type: str) -> bytes:
        """The page in one of the two formats."""
        self._refresh()
        mine = (pair for pair in self._read() if pair[0].job in self._jobs)
        return render(mine, open_metrics=content_type == OPEN_METRICS)

    async def answer(self, request: Request) -> Response:
        """The endpoint: however many ask at a time, the page is written once."""
        content_type = negotiate(request.headers.get("accept", ""))
        running = self._running.get(content_type)
        if running is None or running.done():
            running = asyncio.create_task(asyncio.to_thread(self.render, content_type))
            self._running[content_type] = running
        page = await asyncio.shield(running)
        return Response(page, headers={"content-type": content_type, "cache-control": "no-store"})


def metrics_routes(path: str, exposition: Exposition) -> list[Route]:
    """The route for GET and HEAD; none for an empty path."""
    return [Route(path, exposition.answer, name="metrics", include_in_schema=False)] if path else []


def negotiate(accept: str) -> str:
    """The format that a client likes best; text where it has no wish."""
    likes = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if kind not in likes or (kind != "text/plain" and not _is_version_1(parameters)):
            continue
        likes[kind] = max(likes[kind], _quality(parameters))
    return OPEN_METRICS if likes["application/openmetrics-text"] > likes["text/plain"] else TEXT


def _is_version_1(parameters: Iterable[str]) -> bool:
    versions = [value for name, _, value in (one.partition("=") for one in parameters) if name == "version"]
    return not versions or versions[0].startswith("1.")


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def render(copies: Iterable[tuple[Series, Cell]], *, open_metrics: bool) -> bytes:
    """Series and their cells as text, by name; what one metric has stands together."""
    families: dict[str, list[tuple[Series, Cell]]] = {}
    for series, cell in copies:
        families.setdefault(series.metric.name, []).append((series, cell))
    lines: list[str] = []
    for name in sorted(families):
        lines += _family(families[name], open_metrics=open_metrics)
    if open_metrics:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines).encode()


def _family(members: Sequence[tuple[Series, Cell]], *, open_metrics: bool) -> Iterator[str]:
    metric = members[0][0].metric
    family, kind = metric.name, str(metric.kind)
    if open_metrics and metric.kind == "counter":
        # OpenMetrics names the family without the suffix that every counter's sample has to have.
        family, kind = (family.removesuffix("_total"), kind) if family.endswith("_total") else (family, "unknown")
    escapes = _ESCAPES if open_metrics else _HELP_ESCAPES
    yield f"# HELP {family} {metric.description.translate(escapes)}"
    yield f"# TYPE {family} {kind}"
    word = _WORDS.get(metric.unit, "")
    if open_metrics and word and family.endswith(f"_{word}"):
        yield f"# UNIT {family} {word}"
    for series, cell in members:
        labels = [
            f'{key}="{value.translate(_ESCAPES)}"'
            for key, value in zip(series.metric.labels, series.values, strict=True)
            if value  # an empty label is none
        ]
        if series.metric.kind == "histogram":
            yield from _histogram(metric, labels, cell, series.exemplar if open_metrics else None)
        else:
            yield f"{metric.name}{_braces(labels)} {_number(cell[0])}"


def _histogram(metric: Metric, labels: list[str], cell: Cell, exemplar: Exemplar | None) -> Iterator[str]:
    totals = accumulate(cell[:-1])
    low = -math.inf
    count = 0.0
    for bound, total in zip((*metric.buckets, math.inf), totals, strict=True):
        count = total
        tail = _exemplar(exemplar) if exemplar is not None and low < exemplar.value <= bound else ""
        edge = "+Inf" if bound == math.inf else repr(float(bound))
        le = f'le="{edge}"'
        yield f"{metric.name}_bucket{_braces([*labels, le])} {_number(total)}{tail}"
        low = bound
    yield f"{metric.name}_sum{_braces(labels)} {_number(cell[-1])}"
    yield f"{metric.name}_count{_braces(labels)} {_number(count)}"


def _exemplar(exemplar: Exemplar) -> str:
    trace = f'{{trace_id="{exemplar.trace_id}",span_id="{exemplar.span_id}"}}'
    return f" # {trace} {_number(exemplar.value)} {exemplar.time_ns / 1e9:.3f}"


def _braces(labels: Sequence[str]) -> str:
    return f"{{{','.join(labels)}}}" if labels else ""


def _number(number: float) -> str:
    value = float(number)  # users set gauges to whole numbers, too
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
