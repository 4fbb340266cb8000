"""The trace of a piece of content: from the request that asked, through the queue, to each stage."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from support.emulator import running_emulator
from support.reference_service import API, reference_service
from support.tracing import SECONDS, Node, spans_of
from support.waiting import wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_each_stage_is_a_span_of_the_request_that_asked():
    with running_emulator() as emulator:
        library = {
            "cloudops_emulator_host": emulator.grpc,
            "enable_metrics": False,
            "trace_sample_rate": 1.0,
        }
        async with reference_service(library=library) as service:
            observability = service.app.state.observability
            observability.start()
            traces = observability.traces
            wait_until(traces.ready.is_set, seconds=SECONDS, what="the provider")
            async with service.client() as client:
                headers = await service.signed_in(client)
                headers["traceparent"] = f"00-{TRACE}-b7ad6b7169203331-01"
                answer = await client.post(f"{API}/content", json={"topic": "bees"}, headers=headers)
                del headers["traceparent"]
                for _ in range(1500):
                    job = (await client.get(answer.headers["location"], headers=headers)).json()
                    if job["status"] != "pending":
                        break
                    await asyncio.sleep(0.02)

            def look() -> list[Node]:
                assert traces.flush(SECONDS)
                return spans_of(emulator, TRACE)

            with ThreadPoolExecutor(1) as aside:
                aside.submit(wait_until, lambda: len(look()) >= 5, seconds=SECONDS, what="the spans").result()
                spans = {span.name: span for span in look()}
                aside.submit(asyncio.run, observability.stop()).result(SECONDS)
    stages = [spans[f"content {stage}"] for stage in ("outline", "draft", "render")]
    [worker] = {span.parent for span in stages}
    by_id = {span.span_id: span for span in spans.values()}
    assert by_id[by_id[worker].parent].name == f"POST {API}/content"
    assert [span.labels["attempt"] for span in stages] == ["1"] * 3
