"""A notification as each kind of channel carries it, from the JSON of version 1.2.

Shapes: Slack's chat.postMessage (api.slack.com/methods/chat.postMessage), PagerDuty's Events API v2
(developer.pagerduty.com/docs/events-api-v2), Google Chat's messages (developers.google.com/workspace/chat/api),
Pub/Sub's push envelope (cloud.google.com/pubsub/docs/push). Which of their fields Google fills, and with what words, is
not published in full.
"""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from ..clock import NANOS
from .channel_types import CHANNEL_TYPES
from .messages import Raw

STARS = "********"
_LONGEST_SMS = 160
_PAGERDUTY_SEVERITY = {"Critical": "critical", "Error": "error", "Warning": "warning"}
_COLOURS = {"open": "#d93025", "closed": "#1e8e3e"}
_SENDER = "alerting-noreply@google.com"

Payload = dict[str, Any]


def shaped(payload: Payload, channel: Raw, at: int, *, with_secrets: bool) -> Payload:
    """What goes to the channel; secrets are stars where people can read it."""
    shape = _SHAPES.get(channel.type_)
    if shape is None:
        return payload
    labels = dict(channel.labels)
    kind = CHANNEL_TYPES[channel.type_]
    if not with_secrets:
        labels |= {key: STARS for key in kind.sensitive if key in labels}
    return shape(payload, labels, at)


def _text(incident: Payload) -> str:
    policy, summary = incident["policy_name"], incident["summary"]
    state = "RESOLVED" if incident["state"] == "closed" else "ALERT"
    return f"[{state} - {incident['severity']}] {policy}: {summary}"


def _slack(payload: Payload, labels: dict[str, str], at: int) -> Payload:
    incident = payload["incident"]
    fields = [
        {"title": title, "value": str(incident[key]), "short": True}
        for title, key in (("Policy", "policy_name"), ("Condition", "condition_name"), ("Severity", "severity"))
    ]
    attachment = {
        "color": _COLOURS[incident["state"]],
        "title": incident["documentation"]["subject"],
        "title_link": incident["url"],
        "text": incident["documentation"]["content"] or incident["summary"],
        "fields": fields,
        "fallback": _text(incident),
        "ts": at // NANOS,
    }
    return {"channel": labels["channel_name"], "text": _text(incident), "attachments": [attachment]}


def _pagerduty(payload: Payload, labels: dict[str, str], at: int) -> Payload:
    incident = payload["incident"]
    event: Payload = {
        "routing_key": labels["service_key"],
        "event_action": "resolve" if incident["state"] == "closed" else "trigger",
        "dedup_key": incident["incident_id"],
    }
    if incident["state"] == "closed":
        return event
    return event | {
        "client": "Google Cloud Monitoring",
        "client_url": incident["url"],
        "links": [{"href": link["url"], "text": link["displayName"]} for link in incident["documentation"]["links"]],
        "payload": {
            "summary": _text(incident)[:1024],
            "source": incident["resource_name"],
            "severity": _PAGERDUTY_SEVERITY.get(incident["severity"], "error"),
            "timestamp": datetime.fromtimestamp(at // NANOS, UTC).isoformat(),
            "component": incident["resource_type_display_name"],
            "group": incident["policy_name"],
            "class": incident["condition_name"],
            "custom_details": payload,
        },
    }


def _sms(payload: Payload, labels: dict[str, str], at: int) -> Payload:
    del at
    return {"to": labels["number"], "body": _text(payload["incident"])[:_LONGEST_SMS]}


def _chat(payload: Payload, labels: dict[str, str], at: int) -> Payload:
    del at
    incident = payload["incident"]
    widgets: list[Payload] = [{"textParagraph": {"text": incident["summary"]}}]
    link = {"onClick": {"openLink": {"url": incident["url"]}}, "text": "View incident"}
    widgets.append({"buttonList": {"buttons": [link]}})
    header = {"title": incident["policy_name"], "subtitle": incident["condition_name"]}
    card = {"header": header, "sections": [{"widgets": widgets}]}
    cards = [{"cardId": incident["incident_id"], "card": card}]
    return {"space": {"name": labels["space"]}, "text": _text(incident), "cardsV2": cards}


def _pubsub(payload: Payload, labels: dict[str, str], at: int) -> Payload:
    """The same JSON in `message.data`, as a push subscription delivers it."""
    incident, moment = payload["incident"], datetime.fromtimestamp(at / NANOS, UTC)
    identifier, published = f"{incident['incident_id']}-{at}", f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    message = {
        "attributes": {},
        "data": base64.b64encode(json.dumps(payload).encode()).decode(),
        # The push format has both spellings.
        "messageId": identifier,
        "message_id": identifier,
        "publishTime": published,
        "publish_time": published,
    }
    project, _, topic = labels["topic"].removeprefix("projects/").partition("/topics/")
    return {"message": message, "subscription": f"projects/{project}/subscriptions/{topic}"}


def _email(payload: Payload, labels: dict[str, str], at: int) -> Payload:
    incident = payload["incident"]
    documentation = incident["documentation"]
    links = "".join(f"\n{link['displayName']}: {link['url']}" for link in documentation["links"])
    body = f"{_text(incident)}\n\n{documentation['content']}\n{links}\n\nView incident: {incident['url']}\n"
    moment = datetime.fromtimestamp(at // NANOS, UTC)
    return {
        "from": _SENDER,
        "to": labels["email_address"],
        "subject": documentation["subject"],
        "date": f"{moment:%a, %d %b %Y %H:%M:%S} +0000",
        "text": body,
    }


_SHAPES: dict[str, Callable[[Payload, dict[str, str], int], Payload]] = {
    "email": _email,
    "google_chat": _chat,
    "pagerduty": _pagerduty,
    "pubsub": _pubsub,
    "slack": _slack,
    "sms": _sms,
}


def as_mail(payload: Payload, identifier: str) -> EmailMessage:
    """A shaped e-mail as RFC 5322 has it."""
    mail = EmailMessage()
    for header, key in (("From", "from"), ("To", "to"), ("Date", "date")):
        mail[header] = " ".join(payload[key].split())
    # A subject with a line break would be a header of its own.
    mail["Subject"] = " ".join(payload["subject"].split())
    mail["Message-ID"] = f"<{identifier}@cloudops.localhost>"
    mail.set_content(payload["text"])
    return mail
