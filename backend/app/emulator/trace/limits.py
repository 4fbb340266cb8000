"""How large a span may be, and what is left of a larger one."""

from typing import Any, NamedTuple

from google.cloud.trace_v2.types import Span

_SPAN = Span.pb()
_STACK_FRAMES = 128  # google/devtools/cloudtrace/v2/trace.proto, StackTrace.StackFrames


class Limits(NamedTuple):
    """Bytes of names, keys and values; numbers of the rest."""

    name: int
    attributes: int
    key: int
    value: int
    annotations: int
    annotation: int
    annotation_attributes: int
    messages: int
    links: int
    link_attributes: int


# google/devtools/cloudtrace/v2/trace.proto; 128 message events beside 32 annotations.
OF_PROTO = Limits(128, 32, 128, 256, 32, 256, 4, 128, 128, 32)
# docs.cloud.google.com/stackdriver/quotas ("OpenTelemetry attributes and limits"), which the storage of both APIs has
# had since 2025.
OF_STORAGE = Limits(1024, 1024, 512, 65_536, 256, 1024, 1024, 256, 128, 1024)


def cut(text: str, limit: int) -> tuple[str, int]:
    """Text of at most `limit` bytes, and how many bytes went: at the end of a whole character, as trace.proto says."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text, 0
    kept = encoded[:limit].decode(errors="ignore")
    return kept, len(encoded) - len(kept.encode())


def shorten(span: Any, limits: Limits) -> None:
    """Cut what is too long and drop what is too many, counted where the API counts it: nothing of this is refused."""
    _cut_text(span.display_name, limits.name)
    _drop_attributes(span.attributes, limits.attributes, limits)
    _drop_events(span, limits)
    if len(span.links.link) > limits.links:
        span.links.dropped_links_count += len(span.links.link) - limits.links
        del span.links.link[limits.links :]
    for link in span.links.link:
        _drop_attributes(link.attributes, limits.link_attributes, limits)
    frames = span.stack_trace.stack_frames
    if len(frames.frame) > _STACK_FRAMES:
        frames.dropped_frames_count += len(frames.frame) - _STACK_FRAMES
        del frames.frame[_STACK_FRAMES:]


def _drop_events(span: Any, limits: Limits) -> None:
    events = span.time_events
    kept = []
    annotations = messages = 0
    for event in events.time_event:
        if event.HasField("message_event"):
            messages += 1
            if messages > limits.messages:
                continue
        else:
            annotations += 1
            if annotations > limits.annotations:
                continue
            _cut_text(event.annotation.description, limits.annotation)
            _drop_attributes(event.annotation.attributes, limits.annotation_attributes, limits)
        kept.append(event)
    if len(kept) < len(events.time_event):
        short = _SPAN.TimeEvents(
            dropped_annotations_count=events.dropped_annotations_count + max(0, annotations - limits.annotations),
            dropped_message_events_count=events.dropped_message_events_count + max(0, messages - limits.messages),
        )
        short.time_event.extend(kept)
        events.CopyFrom(short)


def _drop_attributes(attributes: Any, most: int, limits: Limits) -> None:
    known = attributes.attribute_map
    for key in [key for key in known if len(key.encode()) > limits.key]:
        del known[key]
        attributes.dropped_attributes_count += 1
    for key in sorted(known)[most:]:
        del known[key]
        attributes.dropped_attributes_count += 1
    for value in known.values():
        if value.HasField("string_value"):
            _cut_text(value.string_value, limits.value)


def _cut_text(text: Any, limit: int) -> None:
    kept, gone = cut(text.value, limit)
    if gone:
        text.value = kept
        text.truncated_byte_count += gone
