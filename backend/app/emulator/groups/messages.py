"""Google's message classes of GroupService, bare (see alerting/messages.py)."""

from typing import Any, TypeAlias

from google.cloud.monitoring_v3 import types

Raw: TypeAlias = Any

Group: Any = types.Group.pb()
ListGroupsResponse: Any = types.ListGroupsResponse.pb()
ListGroupMembersResponse: Any = types.ListGroupMembersResponse.pb()
