"""Google's message classes of ServiceMonitoringService, bare (see alerting/messages.py)."""

from typing import Any, TypeAlias

from google.cloud.monitoring_v3 import types
from google.type import calendar_period_pb2

Raw: TypeAlias = Any

Service: Any = types.Service.pb()
ServiceLevelObjective: Any = types.ServiceLevelObjective.pb()
RequestBasedSli: Any = types.RequestBasedSli.pb()
ListServicesResponse: Any = types.ListServicesResponse.pb()
ListServiceLevelObjectivesResponse: Any = types.ListServiceLevelObjectivesResponse.pb()
View: Any = types.ServiceLevelObjective.View
CalendarPeriod: Any = calendar_period_pb2.CalendarPeriod
