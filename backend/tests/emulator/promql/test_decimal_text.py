import math

import pytest

from app.emulator.promql.decimal_text import general, sample_value, shortest
from support.provenance import known_from


@known_from(docs="pkg.go.dev/strconv#FormatFloat")
@pytest.mark.parametrize(
    ("value", "general_text", "shortest_text", "json_text"),
    [
        (0.0, "0", "0", "0"),
        (0.005, "0.005", "0.005", "0.005"),
        (2.5, "2.5", "2.5", "2.5"),
        (-60.0, "-60", "-60", "-60"),
        (100000.0, "100000", "100000", "100000"),
        (1e6, "1e+06", "1000000", "1000000"),
        (1048576.0, "1.048576e+06", "1048576", "1048576"),
        (0.00001, "1e-05", "0.00001", "0.00001"),
        (2.5e-7, "2.5e-07", "0.00000025", "2.5e-07"),
        (1e21, "1e+21", "1000000000000000000000", "1e+21"),
        (1e100, "1e+100", "1" + "0" * 100, "1e+100"),
        (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004", "0.30000000000000004"),
        (math.inf, "+Inf", "+Inf", "+Inf"),
        (-math.inf, "-Inf", "-Inf", "-Inf"),
        (math.nan, "NaN", "NaN", "NaN"),
    ],
)
def test_numbers_are_written_as_go_writes_them(
    value: float, general_text: str, shortest_text: str, json_text: str
) -> None:
    assert (general(value), shortest(value), sample_value(value)) == (general_text, shortest_text, json_text)
