from collections.abc import Iterator

from fastapi_cloudops.core.metrics import metrics_client

stage = metrics_client.histogram("content_generation_duration_seconds")


@stage.labels(stage="outline").time()
async def outline(topic: str) -> str:
    return f"About {topic}"


@stage.labels(stage="stream").time()
def stream() -> Iterator[str]:
    yield "About"
    yield "metrics"


def draft() -> None:
    with stage.labels(stage="draft").time():
        "".join(stream())


draft()
