"""Google's own message classes, bare: both wires speak them, and proto-plus around them would cost copies.

They carry no types of their own, so annotations say `Raw`.
"""

from typing import Any, TypeAlias

from google.cloud.monitoring_v3 import types

Raw: TypeAlias = Any

Aggregation: Any = types.Aggregation.pb()
AlertPolicy: Any = types.AlertPolicy.pb()
ListAlertPoliciesResponse: Any = types.ListAlertPoliciesResponse.pb()
MutationRecord: Any = types.MutationRecord.pb()
NotificationChannel: Any = types.NotificationChannel.pb()
GetNotificationChannelVerificationCodeResponse: Any = types.GetNotificationChannelVerificationCodeResponse.pb()
NotificationChannelDescriptor: Any = types.NotificationChannelDescriptor.pb()
ListNotificationChannelDescriptorsResponse: Any = types.ListNotificationChannelDescriptorsResponse.pb()
ListNotificationChannelsResponse: Any = types.ListNotificationChannelsResponse.pb()
Snooze: Any = types.Snooze.pb()
ListSnoozesResponse: Any = types.ListSnoozesResponse.pb()
