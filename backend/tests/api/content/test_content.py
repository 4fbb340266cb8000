import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import update

from app.api.content.generator import STAGES
from app.api.content.messages import Message
from app.api.content.queues import LocalQueue
from app.api.content.redis_queue import RedisQueue
from app.api.database.models import Job
from app.core.propagation import from_pubsub_message
from support.databases import redis_server
from support.provenance import known_from
from support.reference_service import API, reference_service
from support.servers import free_port

FAST = {"content_retry_seconds": 0.01}
TRACE = "0af7651916cd43dd8448eb211c80319c"


def _now():
    return datetime.now(UTC)


async def _asked(client, headers, topic="bees"):
    answer = await client.post(f"{API}/content", json={"topic": topic}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


async def _finished(client, headers, location):
    for _ in range(1500):
        job = (await client.get(location, headers=headers)).json()
        if job["status"] != "pending":
            return job
        await asyncio.sleep(0.02)
    raise AssertionError(f"the job does not end: {job}")


async def test_content_is_made_in_stages_and_its_logs_follow_the_request_that_asked():
    async with reference_service() as service, service.client() as client:
        headers = await service.signed_in(client)
        answer = await client.post(
            f"{API}/content",
            json={"topic": "<bees>"},
            headers={**headers, "traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-request-id": "asked-1"},
        )
        job = await _finished(client, headers, answer.headers["location"])
        assert (job["status"], job["stage"], job["attempts"]) == ("completed", "render", 1)
        assert "<h2>What is &lt;bees&gt;</h2>" in job["result"]
        [entry] = [one for one in service.entries if one["message"] == "content generated"]
        assert entry["logging.googleapis.com/trace"].endswith(TRACE)
        assert (entry["request_id"], entry["job_id"]) == ("asked-1", job["id"])
        assert entry["pubsub"]["delivery_attempt"] == 1
        assert service.counted("content_generation_requests_total", "pending") == 1
        assert service.counted("content_generation_requests_total", "completed") == 1
        assert service.counted("queue_messages_total", "content", "ok") == 1
        assert (await service.parts.queue.state(_now())).depth == 0


async def test_a_failure_is_tried_again_and_then_succeeds():
    failures = iter([RuntimeError("the model is away"), RuntimeError("still")])

    async def sometimes(text):
        for failure in failures:
            raise failure
        return text

    async with reference_service(stages={**STAGES, "draft": sometimes}, **FAST) as service, service.client() as client:
        headers = await service.signed_in(client)
        job = await _finished(client, headers, await _asked(client, headers))
        assert (job["status"], job["attempts"]) == ("completed", 3)
        assert service.counted("queue_messages_total", "retried") == 2
        assert service.counted("content_generation_errors_total", "RuntimeError") == 2
        told = [one for one in service.entries if one["message"].startswith("content generation failed")]
        assert [one["severity"] for one in told] == ["WARNING", "WARNING"]


async def test_what_fails_every_time_is_a_dead_letter_that_an_administrator_sees(administered):
    service, client, admin = administered

    async def never(text):
        raise LookupError(text)

    service.parts.workers._stages = {"outline": never}
    service.parts.workers._retry_seconds = 0.0
    job = await _finished(client, admin, await _asked(client, admin))
    assert (job["status"], job["error"], job["attempts"]) == ("failed", "LookupError", 3)
    for _ in range(500):
        letters = (await client.get(f"{API}/admin/dead-letters", headers=admin)).json()
        if letters:
            break
        await asyncio.sleep(0.02)
    [letter] = letters
    assert (letter["reason"], letter["message"]["deliveryAttempt"]) == ("LookupError", 3)
    assert service.counted("content_generation_requests_total", "failed") == 1
    assert service.counted("content_generation_errors_total", "LookupError") == 3


async def test_a_stage_that_hangs_is_given_up():
    async def hangs(text):
        await asyncio.Event().wait()
        return text

    settings = {"content_stage_seconds": 0.05, "content_attempts": 1}
    async with reference_service(stages={"outline": hangs}, **settings) as service, service.client() as client:
        headers = await service.signed_in(client)
        job = await _finished(client, headers, await _asked(client, headers))
        assert (job["status"], job["error"]) == ("failed", "StageError")
        assert service.counted("timeouts_total", "content_stage") == 1


async def test_no_more_jobs_than_workers_run_at_a_time():
    running, most, gate = 0, 0, asyncio.Event()

    async def counts(text):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return text

    async with reference_service(stages={"outline": counts}, content_workers=2) as service, service.client() as client:
        headers = await service.signed_in(client)
        locations = [await _asked(client, headers) for _ in range(6)]
        gate.set()
        for location in locations:
            assert (await _finished(client, headers, location))["status"] == "completed"
        assert most == 2


async def test_more_than_may_wait_is_shed():
    async with reference_service(content_workers=0, content_waiting=2) as service, service.client() as client:
        headers = await service.signed_in(client)
        for _ in range(2):
            await _asked(client, headers)
        refused = await client.post(f"{API}/content", json={"topic": "bees"}, headers=headers)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert [one for one in service.entries if "httpRequest" in one][-1]["outcome"] == "shed"
        await service.parts.jobs.count()
        assert service.figure("content_generation_queue_depth") == 2


async def test_nobody_reads_another_s_content():
    async with reference_service() as service, service.client() as client:
        location = await _asked(client, await service.signed_in(client))
        eve = await service.signed_in(client, "eve@example.com")
        assert (await client.get(location, headers=eve)).status_code == 404
        assert (await client.get(f"{API}/content", headers=eve)).json() == []


async def test_a_job_whose_message_is_lost_is_sent_again():
    async with reference_service() as service, service.client() as client:
        headers = await service.signed_in(client)
        parts = service.parts
        user = (await client.get(f"{API}/auth/me", headers=headers)).json()["user_id"]
        long_ago = _now() - timedelta(minutes=1)
        async with parts.database.begin() as database:
            job = Job(user_id=user, topic="bees", created_at=long_ago, attributes={}, queued=True)
            database.add(job)
        await parts.jobs.find_lost()
        await parts.jobs.send_unsent()
        assert (await _finished(client, headers, f"{API}/content/{job.id}"))["status"] == "completed"


async def test_a_message_that_comes_twice_makes_content_once():
    made = []

    async def noted(text):
        made.append(text)
        return text

    async with reference_service(stages={"outline": noted}) as service, service.client() as client:
        headers = await service.signed_in(client)
        location = await _asked(client, headers)
        await _finished(client, headers, location)
        job_id = location.rpartition("/")[2]
        await service.parts.queue.publish(Message.new({"job_id": job_id}, {}, _now()))
        await service.parts.queue.publish(Message.new({"job_id": job_id}, {}, _now()))
        other = await _asked(client, headers, "wasps")
        await _finished(client, headers, other)
        assert made == ["bees", "wasps"]


async def test_a_message_that_nobody_can_read_is_a_dead_letter_and_stops_no_worker():
    async with reference_service(content_workers=1) as service, service.client() as client:
        headers = await service.signed_in(client)
        for data in (b"not json", b"[]", b"{}"):
            await service.parts.queue.publish(Message("m", data, {}, _now()))
        await _finished(client, headers, await _asked(client, headers))
        assert [reason for _, reason in await service.parts.queue.dead_letters(10)] == ["unreadable"] * 3


async def test_a_feature_that_is_switched_off_answers_so(administered):
    service, client, admin = administered
    assert (await client.put(f"{API}/admin/features/content", json={"on": False}, headers=admin)).status_code == 200
    refused = await client.post(f"{API}/content", json={"topic": "bees"}, headers=admin)
    assert (refused.status_code, refused.json()["detail"]) == (503, "content is switched off")
    assert (await client.put(f"{API}/admin/features/nonsense", json={"on": False}, headers=admin)).status_code == 422
    await client.put(f"{API}/admin/features/content", json={"on": True}, headers=admin)
    await _asked(client, admin)
    assert [entry["on"] for entry in service.audited("feature_switched")] == [False, True]


# Messages and queues


@known_from(docs="https://cloud.google.com/pubsub/docs/push#receive_push")
def test_a_message_has_the_shape_of_a_push_and_comes_back_from_it():
    attributes = {"googclient_traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    message = Message.new({"job_id": "7"}, attributes, datetime(2026, 1, 2, tzinfo=UTC))
    wire = message.again().wire()
    assert wire["message"]["publishTime"] == "2026-01-02T00:00:00Z"
    assert wire["deliveryAttempt"] == 2
    assert Message.read(json.dumps(wire)) == message.again()
    origin = from_pubsub_message(wire)
    assert origin.parent is not None
    assert origin.parent[0] == TRACE


@pytest.fixture(params=["local", "redis"])
async def queue(request):
    if request.param == "local":
        made = LocalQueue()
        yield made
        await made.close()
        return
    with redis_server() as port:
        async with Redis(port=port) as client:
            yield RedisQueue(client, visibility=30)


def _message(number=1):
    return Message.new({"job_id": str(number)}, {"a": "b"}, _now() - timedelta(seconds=5))


async def test_a_queue_delivers_in_order_counts_what_waits_and_its_age(queue):
    messages = [_message(number) for number in range(3)]
    for message in messages:
        await queue.publish(message)
    state = await queue.state(_now())
    assert state.depth == 3
    assert 5 <= state.oldest_age_seconds < 60
    for message in messages:
        delivery = await queue.receive()
        assert delivery.message == message
        await queue.done(delivery)
    assert (await queue.state(_now())).depth == 0


async def test_what_is_retried_comes_again_later_with_its_attempt(queue):
    await queue.publish(_message())
    delivery = await queue.receive()
    await queue.retry(delivery, 0.05)
    assert (await queue.state(_now())).depth == 1
    again = await asyncio.wait_for(queue.receive(), 30)
    assert (again.message.id, again.message.attempt) == (delivery.message.id, 2)


async def test_what_is_given_up_is_kept_with_the_reason_and_counted(queue):
    await queue.publish(_message())
    delivery = await queue.receive()
    await queue.give_up(delivery, "because")
    assert await queue.dead_letters(5) == [(delivery.message, "because")]
    state = await queue.state(_now())
    assert (state.depth, state.dead_letters) == (0, 1)


async def test_what_a_dead_worker_had_goes_to_another_and_counts_as_an_attempt():
    with redis_server() as port:
        async with Redis(port=port) as client:
            dead, alive = RedisQueue(client, visibility=0.1), RedisQueue(client, visibility=0.1)
            await dead.publish(_message())
            lost = await dead.receive()
            again = await asyncio.wait_for(alive.receive(), 30)
            assert (again.message.id, again.message.attempt) == (lost.message.id, 2)
            await alive.done(again)
            assert (await alive.state(_now())).depth == 0


async def test_garbage_in_the_stream_is_a_dead_letter():
    with redis_server() as port:
        async with Redis(port=port) as client:
            queue = RedisQueue(client, visibility=30)
            await client.xadd("content:messages", {"wire": "garbage"})
            message = _message()
            await queue.publish(message)
            assert (await asyncio.wait_for(queue.receive(), 30)).message == message
            assert [reason for _, reason in await queue.dead_letters(5)] == ["unreadable"]


async def test_two_processes_share_the_work_of_one_queue_and_survive_an_emptied_redis():
    with redis_server() as port:
        settings = {"redis_url": f"redis://127.0.0.1:{port}", "redis_timeout": 5.0}
        async with reference_service(**settings) as service, service.client() as client:
            headers = await service.signed_in(client)
            assert (await _finished(client, headers, await _asked(client, headers)))["status"] == "completed"
            async with Redis(port=port) as redis:
                await redis.flushall()
            assert (await _finished(client, headers, await _asked(client, headers)))["status"] == "completed"


async def test_while_redis_is_away_jobs_are_taken_and_made_when_it_is_back(tmp_path):
    port = free_port()
    settings = {"redis_url": f"redis://127.0.0.1:{port}", "database_url": f"sqlite:///{tmp_path}/service.db"}
    async with reference_service(**settings) as service, service.client() as client:
        headers = await service.signed_in(client)
        location = await _asked(client, headers)
    async with reference_service(database_url=settings["database_url"]) as service, service.client() as client:
        async with service.parts.database.begin() as database:
            await database.execute(update(Job).values(created_at=_now() - timedelta(minutes=1)))
        await service.parts.jobs.send_unsent()
        login = await service.login(client, "ada@example.com")
        headers = {"authorization": f"Bearer {login.json()['access_token']}"}
        assert (await _finished(client, headers, location))["status"] == "completed"


async def test_work_that_is_under_way_when_the_service_ends_is_finished():
    began, gate = asyncio.Event(), asyncio.Event()

    async def slow(text):
        began.set()
        await gate.wait()
        return text

    async with reference_service(stages={"outline": slow}) as service, service.client() as client:
        headers = await service.signed_in(client)
        location = await _asked(client, headers)
        await began.wait()
        stopping = asyncio.create_task(service.parts.workers.stop(30))
        await asyncio.sleep(0)
        gate.set()
        await stopping
        assert (await client.get(location, headers=headers)).json()["status"] == "completed"
