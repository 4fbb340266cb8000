import asyncio
import sys

from fastapi_cloudops import Observability, Settings, get_logger, metrics_client, request_context
from fastapi_cloudops.core.metrics.cells import process_store

log = get_logger("mailer")
sent = metrics_client.declare.counter(
    "mails_sent_total", "Mails that a server has taken.", labels={"kind": ["receipt", "reminder"]}
)


@request_context()
async def send(kind: str) -> None:
    sent.labels(kind=kind).add()
    log.info("sent", kind=kind)


async def main() -> None:
    observability = Observability(Settings.load(service_name="mailer"))
    observability.configure_logging()
    observability.start()
    try:
        await send("receipt")
        await send("reminder")
    finally:
        await observability.stop()  # writes what was counted, within Cloud Run's ten seconds
    counted = {one.values: one.cell for one in process_store.series if one.metric.name == "mails_sent_total"}
    print(counted, file=sys.stdout)


asyncio.run(main())
