"""Time-series selectors: the filters that name an SLO instead of a metric.

cloud.google.com/stackdriver/docs/solutions/slo-monitoring/api/timeseries-selectors: `SELECTOR("SLO NAME")`, or
`SELECTOR("SLO NAME", "LOOKBACK")` for the burn rate; the units of a lookback are ns, us, ms, s, m and h.
"""

import re
from typing import NamedTuple

from ..clock import NANOS
from ..status import invalid_field

BURN_RATE = "select_slo_burn_rate"
COUNTS = "select_slo_counts"
HEALTH = "select_slo_health"
COMPLIANCE = "select_slo_compliance"
BUDGET = "select_slo_budget"
BUDGET_FRACTION = "select_slo_budget_fraction"
BUDGET_TOTAL = "select_slo_budget_total"
SELECTORS = (BURN_RATE, COUNTS, HEALTH, COMPLIANCE, BUDGET, BUDGET_FRACTION, BUDGET_TOTAL)

_CALL = re.compile(
    r"""\s*(select_slo_\w*)\s*\(\s*(?P<q>["'])(?P<slo>[^"']*)(?P=q)\s*(?:,\s*["']?([^"',()]*)["']?\s*)?\)\s*"""
)
_STARTS = re.compile(r"\bselect_slo_\w*\s*\(")
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": NANOS, "m": 60 * NANOS, "h": 3600 * NANOS}
_NAME = re.compile(r"projects/[^/]+/services/[^/]+/serviceLevelObjectives/[^/]+")
_MINUTE = 60 * NANOS
# Ours: Google names no bound; a lookback longer than the longest compliance period has no meaning.
_LONGEST = 31 * 86_400 * NANOS


class Selector(NamedTuple):
    function: str
    slo: str
    lookback: int
    """Nanoseconds; 0 where the selector takes none."""
    text: str


def is_selector(filter_: str) -> bool:
    return _STARTS.search(filter_) is not None


def parse_selector(filter_: str, field: str = "filter") -> Selector:
    """Read a filter that is one selector.

    Raises:
        ApiError: INVALID_ARGUMENT for anything else.
    """
    match = _CALL.fullmatch(filter_)
    if match is None:
        raise invalid_field(field, 'a time-series selector stands alone: select_slo_...("SLO name").', filter_)
    function, slo, lookback = match[1], match["slo"], match[4]
    if function not in SELECTORS:
        raise invalid_field(field, f"the selectors are {', '.join(SELECTORS)}.", function)
    if not _NAME.fullmatch(slo):
        why = "the selector's first argument must be projects/<project>/services/<id>/serviceLevelObjectives/<id>."
        raise invalid_field(field, why, slo)
    if function != BURN_RATE:
        if lookback is not None:
            raise invalid_field(field, f"{function} takes no lookback period.", lookback)
        return Selector(function, slo, 0, filter_.strip())
    if lookback is None:
        raise invalid_field(field, f"{function} needs a lookback period as its second argument.", filter_)
    return Selector(function, slo, _length(lookback, field), filter_.strip())


def _length(text: str, field: str) -> int:
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        raise invalid_field(field, "the lookback period must be a number and one of ns, us, ms, s, m and h.", text)
    length = round(float(match[1]) * _UNITS[match[2]])
    if not _MINUTE <= length <= _LONGEST:
        raise invalid_field(field, "the lookback period must be at least a minute and at most 31 days.", text)
    return length
