import asyncio

from fastapi import FastAPI
from fastapi_cloudops import instrument, request_context
from fastapi_cloudops.core.propagation import from_pubsub_message
from fastapi_cloudops.core.tracing import span

telemetry = instrument(FastAPI())
MESSAGES = [
    {
        "message_id": str(number),
        "attributes": {"googclient_traceparent": f"00-{number:032x}-{number:016x}-01"},
    }
    for number in (1, 2)
]


@request_context(from_pubsub_message)
def handle(message: dict[str, object]) -> None:
    with span("read order", size=len(message)):
        pass


async def main() -> None:
    telemetry.start()
    await asyncio.to_thread(telemetry.traces.ready.wait, 10)
    handle(MESSAGES[0])  # one message: its work stands beneath its sender's span
    origins = [from_pubsub_message(message) for message in MESSAGES]
    with span("import orders", links=origins):  # many: one piece of work that links to each sender
        pass
    await telemetry.stop()


asyncio.run(main())
