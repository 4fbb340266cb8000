from fastapi import FastAPI
from fastapi_cloudops.core.metrics.opentelemetry_reader import OpenTelemetryReader
from opentelemetry.sdk.metrics import MeterProvider

provider = MeterProvider(metric_readers=[OpenTelemetryReader()])
meter = provider.get_meter("shop")
value = meter.create_histogram("order.value", unit="{EUR}", explicit_bucket_boundaries_advisory=[10, 50, 250])
items = meter.create_counter("order.items")

app = FastAPI()


@app.get("/")
async def order() -> None:
    value.record(40, {"shop.kind": "web"})
    items.add(3, {"shop.kind": "web"})
