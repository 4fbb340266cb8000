"""Messages in the shape of Pub/Sub: what a push subscription would deliver."""

import base64
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

from pydantic import BaseModel, Field


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery of a message.

    Attributes:
        id: The same at each delivery.
        data: The body.
        attributes: Beside the body; they carry the trace.
        published: When it was sent first.
        attempt: Of deliveries, from 1.
    """

    id: str
    data: bytes
    attributes: dict[str, str]
    published: datetime
    attempt: int = 1

    @classmethod
    def new(cls, body: dict[str, Any], attributes: dict[str, str], published: datetime) -> Self:
        return cls(uuid4().hex, json.dumps(body).encode(), attributes, published)

    @property
    def body(self) -> dict[str, Any]:
        """Raises ValueError where the data is no JSON object."""
        body = json.loads(self.data)
        if not isinstance(body, dict):
            raise ValueError("the data is no JSON object")  # noqa: TRY004  # as json raises for the rest
        return body

    def again(self) -> Self:
        return replace(self, attempt=self.attempt + 1)

    def wire(self) -> dict[str, Any]:
        """cloud.google.com/pubsub/docs/push#receive_push."""
        return {
            "message": {
                "data": base64.b64encode(self.data).decode(),
                "attributes": self.attributes,
                "messageId": self.id,
                "publishTime": self.published.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            },
            "deliveryAttempt": self.attempt,
        }

    @classmethod
    def read(cls, wire: bytes | str) -> Self:
        """Raises ValueError where it has another shape."""
        push = _Push.model_validate_json(wire)
        message = push.message
        return cls(
            message.message_id,
            base64.b64decode(message.data, validate=True),
            message.attributes,
            message.publish_time,
            push.delivery_attempt,
        )


class _PubsubMessage(BaseModel):
    data: str
    attributes: dict[str, str] = {}
    message_id: str = Field(alias="messageId")
    publish_time: datetime = Field(alias="publishTime")


class _Push(BaseModel):
    message: _PubsubMessage
    delivery_attempt: int = Field(1, alias="deliveryAttempt")
