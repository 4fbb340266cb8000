"""What Cloud Monitoring refuses in a policy's alert strategy (google/monitoring/v3/alert.proto and its comments)."""

from ..status import invalid_field, missing_field
from .limits import seconds
from .messages import AlertPolicy, Raw


def check_strategy(policy: Raw, log_match: bool) -> None:
    strategy, path = policy.alert_strategy, "alert_policy.alert_strategy"
    limited = strategy.HasField("notification_rate_limit")
    if log_match and not limited:
        raise missing_field(f"{path}.notification_rate_limit")
    if log_match and seconds(strategy.notification_rate_limit.period) <= 0:
        raise invalid_field(f"{path}.notification_rate_limit.period", "must be a positive duration.")
    if limited and not log_match:
        # The sentence is the one quoted in chainguard-dev/terraform-infra-common#352.
        raise invalid_field(
            f"{path}.notification_rate_limit", "metric-based alert policies must not specify a notification rate limit"
        )
    prompts = AlertPolicy.AlertStrategy.NotificationPrompt
    for prompt in strategy.notification_prompts:
        if prompt not in {prompts.OPENED, prompts.CLOSED}:
            raise invalid_field(f"{path}.notification_prompts", "must be OPENED or CLOSED.", prompt)
    given = list(strategy.notification_prompts)
    if given and (given[0] != prompts.OPENED or len(given) != len(set(given))):
        raise invalid_field(f"{path}.notification_prompts", "can be [OPENED] or [OPENED, CLOSED].")
    if log_match and prompts.CLOSED in given:
        raise invalid_field(f"{path}.notification_prompts", "for log-based policies this is always [OPENED].")
    if strategy.HasField("auto_close") and seconds(strategy.auto_close) <= 0:
        raise invalid_field(f"{path}.auto_close", "must be a positive duration.")


def check_strategy_bounds(strategy: Raw, path: str) -> None:
    """What the console lets people choose."""
    if strategy.HasField("auto_close") and not 1800 <= seconds(strategy.auto_close) <= 604_800:  # noqa: PLR2004  # s
        raise invalid_field(f"{path}.auto_close", "must be between 30 minutes and 7 days.")
    for index, one in enumerate(strategy.notification_channel_strategy):
        if one.HasField("renotify_interval") and not 1800 <= seconds(one.renotify_interval) <= 86_400:  # noqa: PLR2004  # s
            path = f"{path}.notification_channel_strategy[{index}].renotify_interval"
            raise invalid_field(path, "must be between 30 minutes and 24 hours.")
