"""google.monitoring.v3.QueryService: the Monitoring Query Language, refused by name.

Google deprecated it (docs.cloud.google.com/stackdriver/docs/deprecations/mql); the emulator speaks PromQL and filters.
"""

from typing import Any, NoReturn

from ..status import ApiError, Code


class QueryService:
    def query_time_series(self, request: Any) -> NoReturn:
        del request
        raise ApiError(
            Code.UNIMPLEMENTED,
            "The emulator does not answer google.monitoring.v3.QueryService.QueryTimeSeries: the Monitoring Query "
            "Language is deprecated. Use PromQL (/v1/projects/P/location/global/prometheus/api/v1/query) or "
            "ListTimeSeries.",
        )
