"""The notification channel types and their labels (cloud.google.com/monitoring/alerts/using-channels-api#ncd)."""

from typing import NamedTuple

from google.api import label_pb2, launch_stage_pb2

from .messages import NotificationChannelDescriptor, Raw


class ChannelType(NamedTuple):
    type: str
    display_name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    sensitive: frozenset[str] = frozenset()


_ALL = (
    ChannelType("email", "Email", ("email_address",)),
    ChannelType("sms", "SMS", ("number",)),
    ChannelType("slack", "Slack", ("channel_name",), ("auth_token", "team"), frozenset({"auth_token"})),
    ChannelType("pagerduty", "PagerDuty", ("service_key",), (), frozenset({"service_key"})),
    ChannelType("webhook_tokenauth", "Webhook with token authentication", ("url",)),
    ChannelType(
        "webhook_basicauth", "Webhook with basic authentication", ("url", "username"), ("password",),
        frozenset({"password"}),
    ),
    ChannelType("pubsub", "Cloud Pub/Sub", ("topic",)),
    ChannelType("google_chat", "Google Chat", ("space",)),
)  # fmt: skip

CHANNEL_TYPES = {kind.type: kind for kind in _ALL}


def descriptor(kind: ChannelType, name: str) -> Raw:
    labels = [
        label_pb2.LabelDescriptor(key=key, value_type=label_pb2.LabelDescriptor.STRING)
        for key in (*kind.required, *kind.optional)
    ]
    return NotificationChannelDescriptor(
        name=name, type_=kind.type, display_name=kind.display_name, labels=labels, launch_stage=launch_stage_pb2.GA
    )
