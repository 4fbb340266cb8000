import asyncio
import time

import pytest

from app.core.metrics import catalogue
from app.core.metrics.sources import queries
from app.core.metrics.sources.queries import error_class, operation


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT 1", "select"),
        ("  \n select *", "select"),
        ("-- who\n/* why * / */ (insert into a", "insert"),
        ("START TRANSACTION", "begin"),
        ("DROP TABLE items", "ddl"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "other"),
        ("/* never closed select", "other"),
        ("", "other"),
        ("'; DROP TABLE", "other"),
    ],
)
def test_a_statement_is_known_by_its_first_word(statement, told):
    assert operation(statement) == told


@pytest.mark.parametrize("piece", [" ", "/*", "/**/", "--\n", "(", "/* * /"])
def test_no_statement_takes_long(piece):
    began = time.process_time()
    operation(piece * 200_000 + "1")
    assert time.process_time() - began < 1


def test_every_operation_and_error_fits_the_catalogue():
    metric = catalogue.own().metric("db_query_duration_seconds", "histogram")
    assert {*queries._OPERATIONS.values(), "other"} == set(metric.labels["operation"] or ())


class _StateError(Exception):
    def __init__(self, sqlstate: str, text: str = "") -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TimeoutError(), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
        (_StateError("23505"), "IntegrityError"),
        (_StateError("57014", "canceling statement due to statement timeout"), "timeout"),
        (_StateError("ZZ999"), "other"),
        (type("IntegrityError", (Exception,), {})(), "IntegrityError"),
        (ValueError(), "other"),
    ],
)
def test_an_error_is_one_of_a_closed_set(error, told):
    assert error_class(error) == told
    assert told in queries.ERRORS
