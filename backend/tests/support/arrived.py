"""What has arrived in an emulator of a service with `/items/{item_id}`."""

import httpx
from google.cloud.logging_v2.types import ListLogEntriesRequest

from .emulator import RunningEmulator

ITEM = "/items/{item_id}"
#: Trace and span.
Identity = tuple[str, str]


def access_entries(emulator: RunningEmulator) -> dict[int, list[Identity]]:
    """Trace and span of each access entry, by the number of the item."""
    found: dict[int, list[Identity]] = {}
    request = ListLogEntriesRequest.pb()(
        resource_names=["projects/demo"], filter=f'jsonPayload.route="{ITEM}"', page_size=1000
    )
    while True:
        answer = emulator.call(lambda: emulator.emulator.parts.logging.list_log_entries(request))
        for entry in answer.entries:
            number = int(entry.http_request.request_url.rpartition("/")[2])
            found.setdefault(number, []).append((entry.trace.rpartition("/")[2], entry.span_id))
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


def spans(emulator: RunningEmulator) -> set[Identity]:
    store = emulator.emulator.parts.trace.traces.store
    return emulator.call(lambda: {(trace.trace_id, span_id) for trace in store.all(0) for span_id in trace.spans})


def counted_requests(emulator: RunningEmulator) -> float:
    """The newest values of `http_request_total` for the item, of all series."""
    query = f'sum(http_request_total{{endpoint="{ITEM}"}})'
    url = f"{emulator.http}/v1/projects/demo/location/global/prometheus/api/v1/query"
    result = httpx.get(url, params={"query": query}).json()["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0
