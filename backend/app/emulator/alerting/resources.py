"""Named configuration objects: kept in memory, journalled before they are answered, changed by field mask."""

import threading
from collections.abc import Sequence

from google.protobuf import timestamp_pb2

from ..clock import NANOS
from ..names import require_project
from ..project import Context
from ..status import invalid_field, missing_field, not_found
from .messages import MutationRecord, Raw


class Resources:
    """One collection such as `alertPolicies`, or one inside of others, such as `services/*/serviceLevelObjectives`.

    Stored messages are never changed in place but replaced, so a reader in another thread may hold them.
    """

    def __init__(self, context: Context, collection: str, kind: str, message: Raw) -> None:
        self._context = context
        self._collection = collection
        self._kind = kind
        self._message = message
        self._lock = threading.Lock()
        self._by_name: dict[str, Raw] = {}

    def name_of(self, *identifiers: str) -> str:
        """The name under these identifiers, from the outermost collection inwards."""
        path = f"{self._collection}/*".replace("*", "{}").format(*identifiers)
        return f"projects/{self._context.project_id}/{path}"

    def canonical(self, name: str, field: str = "name") -> str:
        """The stored form of a name, whether it spells the project by id or by number."""
        if not name:
            raise missing_field(field)
        require_project(name, self._context.project_id, self._context.project_number, field)
        form, parts = f"{self._collection}/*".split("/"), name.split("/")[2:]
        if len(parts) != len(form) or any(
            not part or wanted not in {"*", part} for wanted, part in zip(form, parts, strict=True)
        ):
            shown = "/".join("<id>" if part == "*" else part for part in form)
            raise invalid_field(field, f"must have the form projects/<project>/{shown}.", name)
        return self.name_of(*(part for wanted, part in zip(form, parts, strict=True) if wanted == "*"))

    def all(self) -> list[Raw]:
        """Every object, in the order of creation."""
        with self._lock:
            return list(self._by_name.values())

    def get(self, name: str) -> Raw:
        canonical = self.canonical(name)
        with self._lock:
            found = self._by_name.get(canonical)
        if found is None:
            raise not_found(f"Could not find {canonical}.")
        return found

    def has(self, name: str) -> bool:
        with self._lock:
            return name in self._by_name

    def put(self, message: Raw) -> None:
        with self._lock:
            self._context.journal.append(self._kind, message.SerializeToString())
            self._by_name[message.name] = message

    def remove(self, name: str) -> None:
        with self._lock:
            self._context.journal.append(f"{self._kind}.deleted", name.encode())
            del self._by_name[name]

    def restore(self, kind: str, record: bytes) -> bool:
        """Apply a journalled record of this collection; False for any other kind."""
        if kind == self._kind:
            message = self._message.FromString(record)
            self._by_name[message.name] = message
        elif kind == f"{self._kind}.deleted":
            self._by_name.pop(record.decode(), None)
        else:
            return False
        return True


def mutation_record(context: Context) -> Raw:
    seconds, nanos = divmod(context.clock.now(), NANOS)
    return MutationRecord(
        mutate_time=timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos), mutated_by="cloudops@localhost"
    )


def masked(existing: Raw, wanted: Raw, paths: Sequence[str]) -> Raw:
    """A copy of `existing` with the fields named in `paths` taken from `wanted`; no path means all of them.

    Paths may lead into messages and into maps (`documentation.content`, `user_labels.team`;
    google/monitoring/v3/alert_service.proto, UpdateAlertPolicyRequest).
    """
    result = type(existing)()
    if not paths:
        result.CopyFrom(wanted)
        return result
    result.CopyFrom(existing)
    for path in paths:
        _take(result, wanted, path, path)
    return result


def _take(target: Raw, source: Raw, path: str, whole: str) -> None:
    head, _, rest = path.partition(".")
    names = target.DESCRIPTOR.fields_by_name
    # Python's messages call some fields `type_` and `range_`: their published names have no underscore.
    field = names.get(head) or names.get(f"{head}_")
    if field is None:
        raise invalid_field("update_mask", f"{target.DESCRIPTOR.name} has no field {head}.", whole)
    head = field.name
    if not rest:
        part = type(target)()
        part.CopyFrom(source)
        for other in target.DESCRIPTOR.fields:
            if other.name != head:
                part.ClearField(other.name)
        target.ClearField(head)
        target.MergeFrom(part)
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        values = getattr(source, head)
        if rest in values:
            getattr(target, head)[rest] = values[rest]
        else:
            getattr(target, head).pop(rest, None)
    elif field.message_type is not None and not field.is_repeated:
        _take(getattr(target, head), getattr(source, head), rest, whole)
    else:
        raise invalid_field("update_mask", f"{head} cannot be changed in part.", whole)
