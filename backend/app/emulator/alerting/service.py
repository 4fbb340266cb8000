"""AlertPolicyService, NotificationChannelService and UptimeCheckService of google.monitoring.v3."""

from collections.abc import Callable, Iterable
from typing import Protocol
from urllib.parse import urlsplit

from google.protobuf import empty_pb2

from ..names import new_id, require_project
from ..paging import page_of
from ..project import Context
from ..status import ApiError, Code, invalid_field, missing_field, not_found
from .channel_types import CHANNEL_TYPES, descriptor
from .limits import check_display_name, check_user_labels
from .listing import select
from .messages import (
    AlertPolicy,
    ListAlertPoliciesResponse,
    ListNotificationChannelDescriptorsResponse,
    ListNotificationChannelsResponse,
    ListUptimeCheckConfigsResponse,
    NotificationChannel,
    Raw,
    UptimeCheckConfig,
)
from .metric_names import KnownMetrics
from .resources import Resources, masked, mutation_record
from .uptime_rules import check_uptime, fill_defaults, shown
from .validation import check_kept_conditions, check_new_policy, check_policy

# "Fields containing sensitive information are only partially populated on retrieval" (notification.proto).
_STARS = "********"
_LARGEST_PAGE = 1000
_LONGEST_DESCRIPTION = 1024


class Descriptors(Protocol):
    def descriptors(self) -> Iterable[Raw]:
        """The metric descriptors of the project."""


class NotificationChannelService:
    """Channels and their types. Secrets are stored as given and answered as stars."""

    def __init__(self, context: Context, referring: Callable[[str], list[str]] = lambda _: []) -> None:
        """`referring` answers the names of the policies that use a channel."""
        self._context = context
        self._channels = Resources(context, "notificationChannels", "alerting.channel", NotificationChannel)
        self.referring = referring

    def restore(self, kind: str, record: bytes) -> bool:
        return self._channels.restore(kind, record)

    def has(self, name: str) -> bool:
        return self._channels.has(self._channels.canonical(name, "notification_channel"))

    def channel(self, name: str) -> Raw | None:
        """A channel with its secrets, for delivery; None when it is gone."""
        try:
            return self._channels.get(name)
        except ApiError:
            return None

    def create_notification_channel(self, request: Raw) -> Raw:
        _project(self._context, request.name)
        channel = NotificationChannel()
        channel.CopyFrom(request.notification_channel)
        if channel.name:
            raise invalid_field("notification_channel.name", "must not be set on create.", channel.name)
        self._check(channel)
        channel.name = self._channels.name_of(new_id())
        if not channel.HasField("enabled"):
            channel.enabled.value = True
        channel.creation_record.CopyFrom(mutation_record(self._context))
        self._channels.put(channel)
        return _masked_channel(channel)

    def get_notification_channel(self, request: Raw) -> Raw:
        return _masked_channel(self._channels.get(request.name))

    def list_notification_channels(self, request: Raw) -> Raw:
        _project(self._context, request.name)
        found = select([_masked_channel(c) for c in self._channels.all()], request.filter, request.order_by)
        items, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListNotificationChannelsResponse(
            notification_channels=items, next_page_token=token, total_size=len(found)
        )

    def update_notification_channel(self, request: Raw) -> Raw:
        wanted = request.notification_channel
        existing = self._channels.get(wanted.name)
        updated = masked(existing, wanted, request.update_mask.paths)
        if not updated.HasField("enabled"):
            updated.enabled.value = True
        kind = CHANNEL_TYPES.get(updated.type_)
        for key in kind.sensitive if kind else ():
            # A client that writes back what it read must not replace the secret by stars.
            if updated.labels.get(key) == _STARS and key in existing.labels:
                updated.labels[key] = existing.labels[key]
        self._check(updated)
        updated.name = existing.name
        updated.creation_record.CopyFrom(existing.creation_record)
        del updated.mutation_records[:]
        updated.mutation_records.extend([*existing.mutation_records, mutation_record(self._context)])
        self._channels.put(updated)
        return _masked_channel(updated)

    def delete_notification_channel(self, request: Raw) -> Raw:
        channel = self._channels.get(request.name)
        users = self.referring(channel.name)
        if users and not request.force:
            # hashicorp/terraform-provider-google#3008
            raise ApiError(
                Code.INVALID_ARGUMENT,
                f"Could not delete {channel.name} because it is still being referenced by {', '.join(users)}.",
            )
        self._channels.remove(channel.name)
        return empty_pb2.Empty()

    def list_notification_channel_descriptors(self, request: Raw) -> Raw:
        _project(self._context, request.name)
        items, token = page_of(list(CHANNEL_TYPES.values()), request.page_size, request.page_token, _LARGEST_PAGE)
        return ListNotificationChannelDescriptorsResponse(
            channel_descriptors=[descriptor(kind, self._descriptor_name(kind.type)) for kind in items],
            next_page_token=token,
        )

    def get_notification_channel_descriptor(self, request: Raw) -> Raw:
        _project(self._context, request.name)
        kind = CHANNEL_TYPES.get(request.name.rpartition("/")[2])
        if kind is None:
            raise not_found(f"Could not find {request.name}.")
        return descriptor(kind, self._descriptor_name(kind.type))

    def _descriptor_name(self, kind: str) -> str:
        return f"projects/{self._context.project_id}/notificationChannelDescriptors/{kind}"

    def _check(self, channel: Raw) -> None:
        path = "notification_channel"
        check_display_name(channel.display_name, f"{path}.display_name")
        check_user_labels(channel.user_labels, f"{path}.user_labels")
        if len(channel.description) > _LONGEST_DESCRIPTION:
            raise invalid_field(f"{path}.description", "may not exceed 1024 Unicode characters.")
        if channel.verification_status:
            raise invalid_field(
                f"{path}.verification_status", "cannot be set; use VerifyNotificationChannel.",
                channel.verification_status,
            )  # fmt: skip
        kind = CHANNEL_TYPES.get(channel.type_)
        if kind is None:
            raise invalid_field(f"{path}.type", f"must be one of {', '.join(CHANNEL_TYPES)}.", channel.type_)
        for key in kind.required:
            if not channel.labels.get(key):
                raise missing_field(f"{path}.labels[{key}]")
        for key, value in channel.labels.items():
            if key not in (*kind.required, *kind.optional):
                raise invalid_field(f"{path}.labels", f"a channel of type {kind.type} has no such label.", key)
            if key == "url" and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
                raise invalid_field(f"{path}.labels[url]", "must be an http or https URL.", value)


class UptimeCheckService:
    """Keeps the configurations of uptime checks. It does not probe anything yet: no uptime metric appears."""

    def __init__(self, context: Context, policies: Callable[[], list[Raw]] = list) -> None:
        """`policies` answers all alert policies: a check that one of them names cannot be deleted."""
        self._context = context
        self._checks = Resources(context, "uptimeCheckConfigs", "alerting.uptime_check", UptimeCheckConfig)
        self.policies = policies

    def restore(self, kind: str, record: bytes) -> bool:
        return self._checks.restore(kind, record)

    def create_uptime_check_config(self, request: Raw) -> Raw:
        _project(self._context, request.parent, "parent")
        config = UptimeCheckConfig()
        config.CopyFrom(request.uptime_check_config)
        if config.name:
            raise invalid_field("uptime_check_config.name", "must not be set on create.", config.name)
        check_uptime(config)
        fill_defaults(config, self._context.project_id)
        config.name = self._checks.name_of(_slug(config.display_name) + "-" + new_id()[:11])
        self._checks.put(config)
        return shown(config)

    def get_uptime_check_config(self, request: Raw) -> Raw:
        return shown(self._checks.get(request.name))

    def list_uptime_check_configs(self, request: Raw) -> Raw:
        _project(self._context, request.parent, "parent")
        found = select([shown(config) for config in self._checks.all()], request.filter)
        items, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListUptimeCheckConfigsResponse(uptime_check_configs=items, next_page_token=token, total_size=len(found))

    def update_uptime_check_config(self, request: Raw) -> Raw:
        existing = self._checks.get(request.uptime_check_config.name)
        updated = masked(existing, request.uptime_check_config, request.update_mask.paths)
        check_uptime(updated)
        fill_defaults(updated, self._context.project_id)
        updated.name = existing.name
        self._checks.put(updated)
        return shown(updated)

    def delete_uptime_check_config(self, request: Raw) -> Raw:
        config = self._checks.get(request.name)
        identifier = config.name.rpartition("/")[2]
        users = [policy.name for policy in self.policies() if identifier in str(policy.conditions)]
        if users:
            # The Terraform provider turns this 400 into "ensure all associated Alert Policies are deleted".
            raise ApiError(
                Code.INVALID_ARGUMENT,
                f"Cannot delete check {identifier}. One or more alerting policies is using it: {', '.join(users)}.",
            )
        self._checks.remove(config.name)
        return empty_pb2.Empty()


class AlertPolicyService:
    """Alert policies; `policies()` is what the evaluator reads."""

    def __init__(
        self, context: Context, metrics: Descriptors | None = None, channels: NotificationChannelService | None = None
    ) -> None:
        """Without `metrics` no metric's existence is checked, without `channels` no channel's."""
        self._context = context
        self._policies = Resources(context, "alertPolicies", "alerting.policy", AlertPolicy)
        self._known = KnownMetrics(metrics.descriptors) if metrics is not None else None
        self._channels = channels
        if channels is not None:
            channels.referring = self._referring

    def restore(self, kind: str, record: bytes) -> bool:
        return self._policies.restore(kind, record)

    def policies(self) -> list[Raw]:
        """A snapshot; its messages are never changed in place."""
        return self._policies.all()

    def has(self, name: str) -> bool:
        return self._policies.has(self._policies.canonical(name, "alert_policy"))

    def create_alert_policy(self, request: Raw) -> Raw:
        _project(self._context, request.name)
        policy = AlertPolicy()
        policy.CopyFrom(request.alert_policy)
        check_new_policy(policy)
        self._check(policy)
        policy.name = self._policies.name_of(new_id())
        record = mutation_record(self._context)
        policy.creation_record.CopyFrom(record)
        self._finish(policy, record)
        return policy

    def get_alert_policy(self, request: Raw) -> Raw:
        return self._policies.get(request.name)

    def list_alert_policies(self, request: Raw) -> Raw:
        _project(self._context, request.name)
        found = select(self._policies.all(), request.filter, request.order_by)
        items, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListAlertPoliciesResponse(alert_policies=items, next_page_token=token, total_size=len(found))

    def update_alert_policy(self, request: Raw) -> Raw:
        existing = self._policies.get(request.alert_policy.name)
        updated = masked(existing, request.alert_policy, request.update_mask.paths)
        check_kept_conditions(updated, existing)
        self._check(updated)
        updated.name = existing.name
        updated.creation_record.CopyFrom(existing.creation_record)
        self._finish(updated, mutation_record(self._context))
        return updated

    def delete_alert_policy(self, request: Raw) -> Raw:
        self._policies.remove(self._policies.get(request.name).name)
        return empty_pb2.Empty()

    def _check(self, policy: Raw) -> None:
        known = self._known if self._context.switches.metric_validation else None
        check_policy(policy, known, self._channels.has if self._channels is not None else None)

    def _finish(self, policy: Raw, record: Raw) -> None:
        """Fill what the server fills, then keep the policy."""
        policy.ClearField("validity")
        for condition in policy.conditions:
            condition.name = condition.name or f"{policy.name}/conditions/{new_id()}"
        if not policy.HasField("enabled"):
            policy.enabled.value = True
        if policy.documentation.content and not policy.documentation.mime_type:
            policy.documentation.mime_type = "text/markdown"
        policy.mutation_record.CopyFrom(record)
        self._policies.put(policy)

    def _referring(self, channel: str) -> list[str]:
        return [policy.name for policy in self._policies.all() if channel in policy.notification_channels]


def _project(context: Context, name: str, field: str = "name") -> None:
    if not name:
        raise missing_field(field)
    require_project(name, context.project_id, context.project_number, field)


def _masked_channel(channel: Raw) -> Raw:
    copy = NotificationChannel()
    copy.CopyFrom(channel)
    kind = CHANNEL_TYPES.get(copy.type_)
    for key in kind.sensitive if kind else ():
        if key in copy.labels:
            copy.labels[key] = _STARS
    return copy


def _slug(text: str) -> str:
    """Uptime check ids begin with the display name, as the console shows them."""
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in text.lower()).split()) or "check"
