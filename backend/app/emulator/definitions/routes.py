"""Who is told of a policy's incidents: priority -> team -> channels."""

from collections.abc import Mapping, Sequence
from typing import Any

Routes = Mapping[str, Mapping[str, Sequence[str]]]


def route(routes: Routes, user_labels: Mapping[str, Any]) -> list[str]:
    """The channels of the first entry that `routes` holds.

    The order is that of `_routes` in terraform/monitoring/notification_channels.tf: priority and team, priority and any
    team, any priority and team, any and any. No entry: nobody is told.
    """
    priority, team = user_labels.get("priority", ""), user_labels.get("team", "")
    for first, second in ((priority, team), (priority, "default"), ("default", team), ("default", "default")):
        if second in routes.get(first, {}):
            return list(routes[first][second])
    return []


def renotify(policy: dict[str, Any]) -> None:
    """Tell an open incident again as often as `userLabels.renotify` says (14400s), where anybody is told at all."""
    interval = policy.get("userLabels", {}).get("renotify")
    channels = policy.get("notificationChannels")
    if interval and channels:
        told = {"notificationChannelNames": channels, "renotifyInterval": interval}
        policy["alertStrategy"] = {**policy.get("alertStrategy", {}), "notificationChannelStrategy": [told]}
