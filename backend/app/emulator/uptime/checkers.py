"""From where checks are made: the regions of google/monitoring/v3/uptime.proto and the checkers in them.

"The uptime-check region USA includes the USA_OREGON, USA_IOWA, and USA_VIRGINIA regions. Each of the USA_* regions has
one checker ... EUROPE, SOUTH_AMERICA, and ASIA_PACIFIC each have one" (cloud.google.com/monitoring/uptime-checks).
"""

from collections.abc import Iterable
from typing import NamedTuple

from .messages import ListUptimeCheckIpsResponse, Raw, UptimeCheckRegion


class Checker(NamedTuple):
    id: str
    """The label `checker_location` of its results."""
    region: str
    place: str


_CHECKERS = (
    Checker("usa-oregon", "USA_OREGON", "Oregon"),
    Checker("usa-iowa", "USA_IOWA", "Iowa"),
    Checker("usa-virginia", "USA_VIRGINIA", "Virginia"),
    Checker("eur-belgium", "EUROPE", "Belgium"),
    Checker("sa-brazil-sao_paulo", "SOUTH_AMERICA", "Sao Paulo, Brazil"),
    Checker("apac-singapore", "ASIA_PACIFIC", "Singapore"),
)
_PARTS = {"USA": {"USA_OREGON", "USA_IOWA", "USA_VIRGINIA"}}


def checkers_of(regions: Iterable[int]) -> list[Checker]:
    """The checkers in the chosen regions; all of them when none is chosen."""
    names = {UptimeCheckRegion(number).name for number in regions if number in set(UptimeCheckRegion)}
    if not names - {"REGION_UNSPECIFIED"}:
        return list(_CHECKERS)
    wanted = {part for name in names for part in _PARTS.get(name, {name})}
    return [checker for checker in _CHECKERS if checker.region in wanted]


def ips() -> Raw:
    """Where the emulator's own checks come from: this machine, whatever the region."""
    answer = ListUptimeCheckIpsResponse()
    for checker in _CHECKERS:
        region = UptimeCheckRegion[checker.region]
        answer.uptime_check_ips.add(region=region.value, location=checker.place, ip_address="127.0.0.1")
    return answer
