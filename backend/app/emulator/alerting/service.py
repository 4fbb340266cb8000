"""AlertPolicyService and NotificationChannelService of google.monitoring.v3."""

from collections.abc import Callable, Iterable
from typing import Protocol
from urllib.parse import urlsplit

from google.protobuf import empty_pb2

from ..monitoring.listing import Computed, nothing_computed
from ..names import new_id, require_project
from ..paging import page_of
from ..project import Context
from ..status import ApiError, Code, invalid_field, missing_field, not_found
from .channel_types import CHANNEL_TYPES, descriptor
from .limits import check_display_name, check_user_labels
from .listing import select
from .messages import (
    AlertPolicy,
    GetNotificationChannelVerificationCodeResponse,
    ListAlertPoliciesResponse,
    ListNotificationChannelDescriptorsResponse,
    ListNotificationChannelsResponse,
    NotificationChannel,
    Raw,
)
from .metric_names import KnownMetrics
from .resources import Resources, masked, mutation_record
from .validation import check_kept_conditions, check_new_policy, check_policy, filters_of
from .verification import Codes

# "Fields containing sensitive information are only partially populated on retrieval" (notification.proto).
_STARS = "********"
_VERIFIED = NotificationChannel.VerificationStatus.Value("VERIFIED")
_UNVERIFIED = NotificationChannel.VerificationStatus.Value("UNVERIFIED")
_MOST_CODES = 100
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
        self._codes = Codes(context.clock)
        self.sent_codes: list[tuple[str, str, int]] = []
        """Channel, code and expiry (ns) of each code that was sent."""

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
        if self._context.switches.verify_channels and channel.type_ == "sms":
            channel.verification_status = _UNVERIFIED
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
        if updated.verification_status == existing.verification_status:
            # A client writes back what it read.
            updated.ClearField("verification_status")
        self._check(updated)
        updated.name = existing.name
        if updated.labels == existing.labels:
            updated.verification_status = existing.verification_status
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

    def send_notification_channel_verification_code(self, request: Raw) -> Raw:
        """Nobody reads a channel's mail here: what was sent is told by `/emulator/v1/verificationCodes`."""
        channel = self._channels.get(request.name)
        code, expires = self._codes.issue(channel)
        self.sent_codes.append((channel.name, code, expires))
        del self.sent_codes[:-_MOST_CODES]
        return empty_pb2.Empty()

    def get_notification_channel_verification_code(self, request: Raw) -> Raw:
        """A code that verifies other channels with the same address (notification_service.proto)."""
        channel = self._channels.get(request.name)
        if channel.verification_status != _VERIFIED:
            raise ApiError(Code.FAILED_PRECONDITION, f"{channel.name} is not verified.")
        code, expires = self._codes.issue(channel, request.expire_time.ToNanoseconds())
        answer = GetNotificationChannelVerificationCodeResponse(code=code)
        answer.expire_time.FromNanoseconds(expires)
        return answer

    def verify_notification_channel(self, request: Raw) -> Raw:
        channel = self._channels.get(request.name)
        if not request.code:
            raise missing_field("code")
        self._codes.check(channel, request.code)
        verified = NotificationChannel()
        verified.CopyFrom(channel)
        verified.verification_status = _VERIFIED
        self._channels.put(verified)
        return _masked_channel(verified)

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


class AlertPolicyService:
    """Alert policies; `policies()` is what the evaluator reads."""

    def __init__(
        self,
        context: Context,
        metrics: Descriptors | None = None,
        channels: NotificationChannelService | None = None,
        computed: Computed = nothing_computed,
    ) -> None:
        """Without `metrics`, `channels` or `computed` nobody checks that metrics, channels or SLOs exist."""
        self._computed = computed
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
        check_policy(
            policy,
            known,
            self._channels.has if self._channels is not None else None,
            strategy_bounds=self._context.switches.strategy_bounds,
        )
        if self._context.switches.metric_validation:
            for condition in policy.conditions:
                for filter_ in filters_of(condition):
                    self._computed(filter_)

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
