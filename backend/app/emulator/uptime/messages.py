"""Google's message classes of UptimeCheckService, bare (see alerting/messages.py)."""

from typing import Any, TypeAlias

from google.cloud.monitoring_v3 import types

Raw: TypeAlias = Any

UptimeCheckConfig: Any = types.UptimeCheckConfig.pb()
UptimeCheckRegion: Any = types.UptimeCheckRegion
ListUptimeCheckConfigsResponse: Any = types.ListUptimeCheckConfigsResponse.pb()
ListUptimeCheckIpsResponse: Any = types.ListUptimeCheckIpsResponse.pb()
CreateTimeSeriesRequest: Any = types.CreateTimeSeriesRequest.pb()
CreateUptimeCheckConfigRequest: Any = types.CreateUptimeCheckConfigRequest.pb()
UpdateUptimeCheckConfigRequest: Any = types.UpdateUptimeCheckConfigRequest.pb()
ListUptimeCheckConfigsRequest: Any = types.ListUptimeCheckConfigsRequest.pb()
