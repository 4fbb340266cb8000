from typing import Annotated, Literal, TypedDict

from fastapi_cloudops.core.metrics import metrics_client


class Order(TypedDict):
    channel: Literal["web", "app"]  # a closed set: the type checker and the catalogue know it
    client: Annotated[str, "address"]  # guarded, and told by CLIENT_IDENTITY
    shop: str  # open: guarded


orders = metrics_client.declare.counter("orders_total", "Orders taken.", labels=Order)
exports = metrics_client.declare.up_down("exports_running", "Exports under way.", labels={"format": ("csv", "pdf")})
invoice = metrics_client.declare.histogram(
    "invoice_size_bytes", "Size of an invoice.", unit="By", buckets=(1024, 16384, 262144)
)

orders.labels(channel="web", client="2001:db8::7", shop="north").add()
with exports.labels(format="pdf"):
    invoice.observe(20_000)
