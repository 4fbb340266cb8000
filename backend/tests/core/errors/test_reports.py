import logging

from fastapi import FastAPI

from app.core import set_user
from app.core.errors.grouping import EVENTS_PER_WINDOW, Repetitions
from support.provenance import known_from
from support.service import observed

EVENT = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"


def _app() -> FastAPI:
    app = FastAPI()

    @app.get("/fails/{name}")
    async def fails(name: str) -> None:
        set_user("ada@example.com")
        password = "hunter2"  # noqa: F841  # a local that must not be told
        try:
            raise KeyError("inner")  # noqa: TRY301  # its frame belongs here
        except KeyError as error:
            raise ValueError("outer") from error

    @app.get("/group")
    async def group() -> None:
        raise ExceptionGroup("several", [ValueError("one"), OSError("two")])

    return app


def _events(service):
    return [entry for entry in service.entries if entry.get("@type") == EVENT]


@known_from(docs="https://cloud.google.com/error-reporting/docs/formatting-error-messages")
async def test_an_unhandled_exception_is_an_error_event_of_its_own():
    with observed(_app(), google_cloud_project="shop") as service:
        async with service.client() as client:
            await client.get("/fails/x", headers={"x-request-id": "r-1", "user-agent": "curl"})
        [event] = _events(service)
        assert event["severity"] == "ERROR"
        assert event["message"] == "ValueError: outer"
        assert event["stack_trace"].startswith("Traceback (most recent call last):")
        assert "KeyError: 'inner'" in event["stack_trace"]
        assert "direct cause" in event["stack_trace"]
        assert "hunter2" not in event["stack_trace"]
        request = {"method": "GET", "url": "/fails/{name}", "userAgent": "curl", "responseStatusCode": 500}
        assert event["context"]["httpRequest"] == request
        assert event["context"]["user"].startswith("h:")
        assert (event["request_id"], event["route"]) == ("r-1", "/fails/{name}")
        [access] = service.access
        assert (access["error_type"], access["logging.googleapis.com/trace"]) == (
            "ValueError",
            event["logging.googleapis.com/trace"],
        )


async def test_an_exception_group_is_kept_whole():
    with observed(_app()) as service:
        async with service.client() as client:
            await client.get("/group")
        [event] = _events(service)
        assert "ValueError: one" in event["stack_trace"]
        assert "OSError: two" in event["stack_trace"]


async def test_the_servers_own_entry_about_it_is_left_out():
    with observed(_app()) as service:
        async with service.client() as client:
            try:
                await client.get("/fails/x")
            finally:
                from app.core.errors.told import told  # noqa: PLC0415  # what a server would log next

                error = told.get()
            logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)
            logging.getLogger("uvicorn.error").error("Another", exc_info=ValueError("another"))
        assert [entry["message"] for entry in service.entries if entry["logger"] == "uvicorn.error"] == ["Another"]


async def test_the_same_error_is_counted_after_some_and_every_request_told():
    with observed(_app()) as service:
        async with service.client() as client:
            for number in range(EVENTS_PER_WINDOW + 5):
                await client.get(f"/fails/{number}")
        assert len(_events(service)) == EVENTS_PER_WINDOW
        assert len(service.access) == EVENTS_PER_WINDOW + 5


def test_what_was_counted_is_told_by_the_first_event_of_the_next_window():
    repetitions = Repetitions()
    assert [repetitions.admit("a", 0.0) for _ in range(EVENTS_PER_WINDOW)] == [0] * EVENTS_PER_WINDOW
    assert [repetitions.admit("a", 59.0) for _ in range(7)] == [None] * 7
    assert repetitions.admit("b", 59.0) == 0
    assert repetitions.admit("a", 60.0) == 7
    assert repetitions.admit("a", 60.0) == 0


def test_errors_without_end_take_no_memory_without_end():
    repetitions = Repetitions()
    for number in range(5_000):
        repetitions.admit(str(number), 0.0)
    assert len(repetitions._windows) <= 512
