import json
import logging
import warnings

import pytest

from app.core import get_logger
from app.core.logging.setup import StdoutHandler
from support.service import observed


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def _cycle() -> dict[str, object]:
    ring: dict[str, object] = {}
    ring["ring"] = ring
    return ring


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), b"\xff", {1, 2}, 2**70, "\udcff", "a\r\nb\x1b", _cycle(), Hostile(), object(), {1: 2}],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_logged_is_one_line_of_strict_json(value):
    with observed() as service:
        get_logger("test").info("hostile", value=value)
        logging.getLogger("test").info("hostile", extra={"value": value})
        assert len(service.lines) == 2
        for line in service.lines:
            assert line.count(b"\n") == 1
            entry = json.loads(line, parse_constant=lambda token: pytest.fail(f"{token} is not JSON"))
            assert (entry["message"], entry["severity"]) == ("hostile", "INFO")


def test_a_standard_logger_has_the_same_form():
    with observed() as service:
        logging.getLogger("library").warning("%d of %s", 1, "two", extra={"user": "ada"})
        [entry] = service.entries
        assert (entry["severity"], entry["message"], entry["logger"], entry["user"]) == (
            "WARNING",
            "1 of two",
            "library",
            "ada",
        )
        assert (
            entry["logging.googleapis.com/sourceLocation"]["function"]
            == test_a_standard_logger_has_the_same_form.__name__
        )


def test_wrong_arguments_of_a_log_call_lose_no_line():
    with observed() as service:
        record = logging.makeLogRecord({"msg": "%d apples", "args": ("many",), "levelno": 20, "name": "library"})
        [handler] = [one for one in logging.getLogger().handlers if isinstance(one, StdoutHandler)]
        handler.handle(record)
        assert "apples" in service.entries[0]["message"]
        assert "many" in service.entries[0]["message"]


def test_a_custom_level_has_the_severity_below_it():
    with observed(log_level="DEBUG", log_sample_rates={}) as service:
        for level in (10, 25, 26, 35, 55):
            logging.getLogger("library").log(level, "x")
        assert [entry["severity"] for entry in service.entries] == ["DEBUG", "NOTICE", "NOTICE", "WARNING", "CRITICAL"]


@pytest.mark.parametrize("logger", ["structlog", "logging"])
def test_an_exception_stands_in_the_field_that_error_reporting_reads(logger):
    with observed() as service:
        log = get_logger("test") if logger == "structlog" else logging.getLogger("test")
        try:
            raise ValueError("why")  # noqa: TRY301  # the frame in the trace is this test's
        except ValueError:
            log.exception("failed")
        [entry] = service.entries
        assert entry["severity"] == "ERROR"
        assert entry["stack_trace"].startswith("Traceback (most recent call last):\n")
        assert entry["stack_trace"].rstrip().endswith("ValueError: why")


def test_levels_below_the_setting_are_not_logged():
    with observed(log_level="WARNING") as service:
        get_logger("test").info("no")
        logging.getLogger("test").info("no")
        get_logger("test").warning("yes")
        assert [entry["message"] for entry in service.entries] == ["yes"]


def test_a_logger_made_before_instrument_is_configured_by_it():
    log = get_logger("early", part="x")
    with observed() as service:
        log.info("hello")
        assert (service.entries[0]["logger"], service.entries[0]["part"]) == ("early", "x")


def test_the_servers_loggers_join_in_and_their_access_logs_end(capfd):
    server, access = logging.getLogger("uvicorn.error"), logging.getLogger("uvicorn.access")
    for logger in (server, access):
        logger.handlers = [logging.StreamHandler()]
    with observed() as service:
        server.warning("from the server", extra={"color_message": "\x1b[31m"})
        access.warning("told twice")
        [entry] = service.entries
    assert (entry["message"], "color_message" in entry) == ("from the server", False)
    assert capfd.readouterr().err == ""


def test_a_handler_that_is_no_console_stays():
    kept = logging.NullHandler()
    logging.getLogger().addHandler(kept)
    with observed():
        assert kept in logging.getLogger().handlers


def test_a_warning_is_a_log_entry():
    with observed() as service, warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("careful", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
        assert "careful" in service.entries[0]["message"]
