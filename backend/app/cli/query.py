"""`cloudops query`: PromQL against the emulator's metrics."""

import json
import sys
import time
from typing import Annotated, Any

import typer

from .options import fail, project_id, seconds


def query(
    promql: Annotated[str, typer.Argument(help="The query.", show_default=False)],
    *,
    at: Annotated[str, typer.Option(help="Moment: RFC 3339 or Unix seconds; now unless given.", metavar="TIME")] = "",
    last: Annotated[str, typer.Option(help="Evaluate over the time before, e.g. 1h.", metavar="TIME")] = "",
    step: Annotated[str, typer.Option(help="Distance of two points with --last.", metavar="TIME")] = "60s",
    project: Annotated[str, typer.Option(help="Id of the emulated project.", callback=project_id)] = "demo",
    output: Annotated[str, typer.Option("--format", help="table, or json as the Prometheus API answers.")] = "table",
) -> None:
    """Ask PromQL, at one moment or over a stretch of time.

    [bold]Examples[/bold]

    cloudops query 'sum by (status_code) (increase(http_request_total[5m]))'

    cloudops query 'rate(http_request_total[1m])' --last 1h --step 60s

    cloudops query up --at 2026-11-20T12:00:00Z --format json
    """
    if output not in {"table", "json"}:
        raise typer.BadParameter("--format is table or json")
    base = f"/v1/projects/{project}/location/global/prometheus/api/v1"
    moment = _moment(at)

    from .client import call  # noqa: PLC0415  # httpx for this verb only

    if last:
        parameters = {"query": promql, "start": moment - seconds(last), "end": moment, "step": seconds(step)}
        answer = call("GET", f"{base}/query_range", parameters=parameters)
    else:
        answer = call("GET", f"{base}/query", parameters={"query": promql, "time": moment})
    if output == "json":
        sys.stdout.write(json.dumps(answer) + "\n")
        return
    _print_table(answer.get("data") or {})


def _moment(text: str) -> float:
    if not text:
        return time.time()
    from ..emulator.clock import NANOS  # noqa: PLC0415  # this case only
    from ..emulator.logging.values import number, timestamp  # noqa: PLC0415  # as above

    as_seconds, as_nanos = number(text), timestamp(text)
    if as_seconds is not None:
        return as_seconds
    if as_nanos is None:
        raise typer.BadParameter(
            f"'{text}' is no moment: write 2026-11-20T12:00:00Z or Unix seconds", param_hint="--at"
        )
    return as_nanos / NANOS


def _print_table(data: dict[str, Any]) -> None:
    from rich import box  # noqa: PLC0415  # this verb only
    from rich.console import Console  # noqa: PLC0415  # as above
    from rich.table import Table  # noqa: PLC0415  # as above
    from rich.text import Text  # noqa: PLC0415  # as above

    kind, result = data.get("resultType"), data.get("result") or []
    if kind in {"scalar", "string"}:
        sys.stdout.write(f"{result[1]}\n")
        return
    if kind not in {"vector", "matrix"}:
        fail(f"The emulator answered with a {kind}, which is no result of PromQL.")
    if not result:
        sys.stderr.write(
            "cloudops: no series match. cloudops query '{__name__=\"METRIC\"}' looks for one by its name.\n"
        )
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("series", overflow="fold")
    columns = ["value"] if kind == "vector" else ["points", "first", "last", "min", "max"]
    for column in columns:
        table.add_column(column, justify="right")
    for series in result:
        cells = [series["value"][1]] if kind == "vector" else _figures([value for _, value in series["values"]])
        table.add_row(Text(_labels(series.get("metric") or {})), *map(Text, cells))
    # A table in a file or pipe is not cut to some terminal's width.
    Console(width=None if sys.stdout.isatty() else 400, soft_wrap=not sys.stdout.isatty()).print(table)


def _figures(values: list[str]) -> list[str]:
    if not values:
        return ["0", "", "", "", ""]
    return [str(len(values)), values[0], values[-1], min(values, key=float), max(values, key=float)]


def _labels(metric: dict[str, str]) -> str:
    from ..emulator.run.display import escaped  # noqa: PLC0415  # this verb only

    name = metric.get("__name__", "")
    inside = ", ".join(f"{key}={json.dumps(value)}" for key, value in sorted(metric.items()) if key != "__name__")
    return escaped(f"{name}{{{inside}}}" if inside or not name else name)
