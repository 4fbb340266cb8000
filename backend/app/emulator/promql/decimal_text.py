"""Numbers as Go writes them, where they become label values or JSON."""

import math

import numpy as np


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return None


def shortest(value: float) -> str:
    """`strconv.FormatFloat(v, 'f', -1, 64)`: the shortest decimals that read back as the same number, no exponent."""
    return _special(value) or np.format_float_positional(value, trim="-")


def general(value: float) -> str:
    """`%g`: as `shortest`, with an exponent below 1e-4 and from 1e6 on; bucket bounds (`le`) are written so."""
    mantissa, power = _scientific(value)
    # Go's strconv, ftoa.go: for the shortest text, six digits decide
    return shortest(value) if power is None or -4 <= power < 6 else f"{mantissa}e{power:+03d}"  # noqa: PLR2004


def _scientific(value: float) -> tuple[str, int | None]:
    if not math.isfinite(value):
        return "", None
    mantissa, _, power = np.format_float_scientific(value, trim="-").partition("e")
    return mantissa, int(power)


def sample_value(value: float) -> str:
    """A sample in the JSON of Prometheus's API: as `shortest`, with an exponent below 1e-6 and from 1e21 on."""
    if value and math.isfinite(value) and not 1e-6 <= abs(value) < 1e21:  # noqa: PLR2004  # util/jsonutil's bounds
        mantissa, power = _scientific(value)
        return f"{mantissa}e{power:+03d}"
    # repr is the shortest text too, and much faster than numpy's
    text = repr(value)
    return text.removesuffix(".0") if "e" not in text and "n" not in text else shortest(value)
