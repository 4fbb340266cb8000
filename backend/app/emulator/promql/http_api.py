"""Prometheus's HTTP API below Google's path, so that Grafana and promtool can read the emulator.

Paths: cloud.google.com/monitoring/api/v1 (projects.location.prometheus.api.v1); envelope and parameters:
prometheus.io/docs/prometheus/latest/querying/api.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..project import Context
from .cloud import CloudSource
from .decimal_text import sample_value
from .dialect import CLOUD
from .evaluate import evaluate_range, instant
from .http_parameters import LABEL, LONGEST, BadParameterError, Parameters, duration, moment, parameters_of, required
from .model import NAME, Labels, Matcher, QueryError, Result
from .parse import parse
from .syntax import Selector
from .values import Key, key_of

_PREFIX: Final = "/v1/projects/{project}/location/{location}/prometheus/api/v1"

Answer = Callable[[Parameters], Any]


class _Api:
    """The questions one can ask; each answer is the `data` of the envelope."""

    def __init__(self, context: Context, source: CloudSource) -> None:
        self._clock = context.clock
        self._source = source

    def _now(self) -> int:
        return self._clock.now() // 1_000_000

    def query(self, parameters: Parameters) -> Any:
        at = moment(parameters, "time", self._now())
        return _result(instant(required(parameters, "query"), self._source, at), at)

    def query_range(self, parameters: Parameters) -> Any:
        for name in ("start", "end", "step"):
            required(parameters, name)
        start, end = moment(parameters, "start", 0), moment(parameters, "end", 0)
        step = duration("step", required(parameters, "step"))
        return _result(evaluate_range(required(parameters, "query"), self._source, start, end, step), end)

    def labels(self, parameters: Parameters) -> Any:
        return sorted({name for labels in self._label_sets(parameters) for name in labels})

    def label_values(self, parameters: Parameters) -> Any:
        name = required(parameters, LABEL)
        if name == NAME and not parameters.get("match[]"):
            return self._source.names()
        return sorted({labels[name] for labels in self._label_sets(parameters) if name in labels})

    def series(self, parameters: Parameters) -> Any:
        if not parameters.get("match[]"):
            raise BadParameterError("no match[] parameter provided")
        return self._label_sets(parameters)

    def metadata(self, parameters: Parameters) -> Any:
        told = self._source.metadata()
        wanted = parameters.get("metric", [""])[0]
        return {name: entries for name, entries in told.items() if wanted in {"", name}}

    def _label_sets(self, parameters: Parameters) -> list[Labels]:
        start, end = moment(parameters, "start", -LONGEST), moment(parameters, "end", self._now())
        if end < start:
            raise BadParameterError('invalid parameter "end": end timestamp must not be before start time')
        selectors = [_selector(text) for text in parameters.get("match[]", [])]
        found: dict[Key, Labels] = {}
        for matchers in selectors or [()]:
            for labels in self._source.label_sets(matchers, start, end):
                found[key_of(labels)] = labels
        return [found[key] for key in sorted(found)]


def routes(context: Context, source: CloudSource) -> list[Route]:
    """The routes of one project's Prometheus API."""
    api = _Api(context, source)
    answers: dict[str, Answer] = {
        "/query": api.query,
        "/query_range": api.query_range,
        "/labels": api.labels,
        f"/label/{{{LABEL}}}/values": api.label_values,
        "/series": api.series,
        "/metadata": api.metadata,
    }
    return [
        Route(_PREFIX + path, _endpoint(answer, context), methods=["GET", "POST"]) for path, answer in answers.items()
    ]


def _endpoint(answer: Answer, context: Context) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        project, location = request.path_params["project"], request.path_params["location"]
        if project not in {context.project_id, str(context.project_number)}:
            return _failure(404, "not_found", f"project {project} is not emulated here: this is {context.project_id}")
        if location != "global":
            return _failure(400, "bad_data", f'location "{location}" is not supported: use "global"')
        try:
            parameters = await parameters_of(request)
            # a long range takes half a second of numpy, during which the server has others to answer
            data = await anyio.to_thread.run_sync(answer, parameters)
        except QueryError as error:
            return _failure(400, "bad_data", str(error))
        return _reply(200, {"status": "success", "data": data})

    return endpoint


def _reply(status: int, body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _failure(status: int, kind: str, message: str) -> Response:
    return _reply(status, {"status": "error", "errorType": kind, "error": message})


def _selector(text: str) -> tuple[Matcher, ...]:
    tree = parse(text, CLOUD)
    if not isinstance(tree, Selector):
        raise BadParameterError(f'invalid parameter "match[]": "{text}" is no series selector')
    return tree.matchers


def _result(result: Result, at: int) -> dict[str, Any]:
    if result.kind == "string":
        return {"resultType": "string", "result": [at / 1000, result.text]}
    if result.kind == "scalar":
        return {"resultType": "scalar", "result": [at / 1000, sample_value(result.samples[0][1])]}
    if result.kind == "vector":
        found = [
            {"metric": labels, "value": [moment / 1000, sample_value(value)]}
            for labels, value, moment in result.samples
        ]
        return {"resultType": "vector", "result": found}
    series = [
        {
            "metric": labels,
            "values": [
                [moment / 1000, sample_value(value)]
                for moment, value in zip(times.tolist(), values.tolist(), strict=True)
            ],
        }
        for labels, times, values in result.series
    ]
    return {"resultType": "matrix", "result": series}
