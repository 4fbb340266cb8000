"""Pub/Sub: the subscription exists and may be seen, and the stream that pulls from it is alive."""

from collections.abc import Callable
from typing import Any, Final

from ..checks import Answer

_TIMEOUT_SECONDS: Final = 2.0


def pubsub_check(
    subscriber: Any, subscription: str, *, pulling: Any = None, timeout: float = _TIMEOUT_SECONDS
) -> Callable[[], Answer]:
    """Ask for a subscription; needs `roles/pubsub.viewer`, or `pubsub.subscriptions.get` alone.

    Args:
        subscriber: A `google.cloud.pubsub_v1.SubscriberClient`.
        subscription: `projects/P/subscriptions/S`.
        pulling: What `subscriber.subscribe(...)` returned, whose end means that nobody pulls any more.
        timeout: Seconds for the call.
    """

    def ask() -> Answer:
        if pulling is not None and pulling.done():
            error = pulling.exception() if not pulling.cancelled() else None
            return Answer("unhealthy", f"nobody pulls any more: {error!r}" if error else "nobody pulls any more")
        found = subscriber.get_subscription(request={"subscription": subscription}, timeout=timeout)
        if getattr(found, "detached", False):
            return Answer("unhealthy", "the subscription is detached from its topic")
        if getattr(found, "topic", "") == "_deleted-topic_":  # google/pubsub/v1/pubsub.proto, Subscription.topic
            return Answer("unhealthy", "the subscription's topic is deleted")
        return Answer()

    return ask
