"""`cloudops logs`: entries of the emulator's Cloud Logging."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from .options import coloured, project_id

_POLL_SECONDS = 0.5
_PAGE = 1000


def logs(
    query: Annotated[
        str, typer.Argument(metavar="[FILTER]", help="A query as Logs Explorer takes it; everything unless given.")
    ] = "",
    *,
    limit: Annotated[int, typer.Option(help="So many entries at most.", min=1)] = 50,
    order: Annotated[str, typer.Option(help="desc: the newest ones; asc: the oldest ones.")] = "desc",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what arrives, until Ctrl-C.")] = False,
    project: Annotated[str, typer.Option(help="Id of the emulated project.", callback=project_id)] = "demo",
    output: Annotated[str, typer.Option("--format", help="text, or json: one LogEntry a line.")] = "text",
) -> None:
    """Show log entries, the newest at the end of the screen.

    [bold]Examples[/bold]

    cloudops logs 'severity>=ERROR' --limit 20

    cloudops logs 'jsonPayload.message=~"time.?out" httpRequest.status>=500' --follow

    cloudops logs 'SEARCH("checkout failed")' --order asc --format json
    """
    if output not in {"text", "json"}:
        raise typer.BadParameter("--format is text or json")
    if order not in {"asc", "desc"}:
        raise typer.BadParameter("--order is asc or desc")
    try:
        entries = _fetch(query, project, order, limit)
        # On a screen the newest entry stands last; a program gets the order that it asked for.
        _show(reversed(entries) if output == "text" and order == "desc" else entries, output)
        if follow:
            _follow(query, project, output, entries)
        elif not entries:
            sys.stderr.write("cloudops: no entries match.\n")
    except KeyboardInterrupt:
        return


def _fetch(query: str, project: str, order: str, limit: int) -> list[dict[str, Any]]:
    from .client import call  # noqa: PLC0415  # httpx for this verb only

    found: list[dict[str, Any]] = []
    token = ""
    while len(found) < limit:
        body = {
            "resourceNames": [f"projects/{project}"],
            "filter": query,
            "orderBy": f"timestamp {order}",
            "pageSize": min(limit - len(found), _PAGE),
            "pageToken": token,
        }
        answer = call("POST", "/v2/entries:list", body=body)
        found += answer.get("entries", [])
        token = answer.get("nextPageToken", "")
        if not token:
            break
    return found[:limit]


def _follow(query: str, project: str, output: str, shown: list[dict[str, Any]]) -> None:
    """Ask again for what was received since; entries may arrive with older timestamps than those already shown."""
    since = max((entry["receiveTimestamp"] for entry in shown), key=_nanos, default=_now())
    seen = {_identity(entry) for entry in shown}
    while True:
        time.sleep(_POLL_SECONDS)
        later = f'receiveTimestamp>="{since}"'
        both = f"({query}\n) AND {later}" if query.strip() else later
        new = [entry for entry in _fetch(both, project, "asc", 10 * _PAGE) if _identity(entry) not in seen]
        _show(new, output)
        if new:
            since = max((entry["receiveTimestamp"] for entry in new), key=_nanos)
            seen.update(_identity(entry) for entry in new)


def _show(entries: Iterator[dict[str, Any]] | list[dict[str, Any]], output: str) -> None:
    for entry in entries:
        sys.stdout.write((json.dumps(entry) if output == "json" else _line(entry)) + "\n")
    sys.stdout.flush()


def _line(entry: dict[str, Any]) -> str:
    from ..emulator.run.display import message_of, readable  # noqa: PLC0415  # text output only

    message = entry.get("textPayload")
    if message is None:
        payload = entry.get("jsonPayload") or entry.get("protoPayload") or {}
        message = message_of(payload, entry.get("httpRequest") or {})
    return readable(
        _nanos(entry["timestamp"]), entry.get("severity", ""), message, colour=coloured(sys.stdout.isatty())
    )


def _nanos(text: str) -> int:
    from ..emulator.logging.values import timestamp  # noqa: PLC0415  # keeps `cloudops --help` quick

    return timestamp(text) or 0


def _now() -> str:
    from ..emulator.logging.values import format_timestamp  # noqa: PLC0415  # as above

    return format_timestamp(time.time_ns())


def _identity(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["timestamp"], entry["insertId"]
