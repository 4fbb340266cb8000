import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from app.core.logging.audit import AuditError, AuditEvent, audit_field, declare, declared_by, get_audit_logger
from app.core.logging.entry import LABELS, SOURCE_LOCATION, Identity
from app.core.logging.processors import chain
from app.core.redaction import MASK, Redaction
from app.core.runtime import from_environment

USER_DELETED = declare("user_deleted", actor=str, target=str)


@dataclass(frozen=True)
class RoleGranted(AuditEvent):
    actor: str
    role: Literal["reader", "admin"]
    address: str = audit_field(exact=True, default="")
    days: int | None = None


def _audit(*, strict: bool = True):
    identity = Identity("items", "1", "test", from_environment("shop", emulated=False))
    lines: list[bytes] = []
    processors = chain(lambda: identity, lambda: 1_000_000_000, Redaction(), tracing=True)
    audit = get_audit_logger(lines.append, processors, redaction=Redaction(), strict=strict)
    return audit, lines


def _only(lines: list[bytes]):
    [line] = lines
    assert line.endswith(b"\n")
    return json.loads(line)


def test_an_audit_entry_says_what_it_is():
    audit, lines = _audit()
    audit(USER_DELETED, actor="ada", target="bob")
    entry = _only(lines)
    assert (entry["severity"], entry["logger"], entry["message"]) == ("NOTICE", "audit", "user_deleted")
    assert (entry["actor"], entry["target"], entry["audit_event"]) == ("ada", "bob", "user_deleted")
    assert entry[LABELS]["audit"] == "true"
    assert entry[LABELS]["service"] == "items"
    assert entry[SOURCE_LOCATION]["function"] == test_an_audit_entry_says_what_it_is.__name__
    assert entry[SOURCE_LOCATION]["file"] == __file__
    assert "undeclared" not in entry


def test_a_dataclass_declares_an_event_too():
    audit, lines = _audit()
    audit(RoleGranted(actor="ada", role="admin", days=3))
    entry = _only(lines)
    assert entry["audit_event"] == "role_granted"
    assert {name: entry[name] for name in ("actor", "role", "address", "days")} == {
        "actor": "ada",
        "role": "admin",
        "address": "",
        "days": 3,
    }


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"actor": "ada", "target": "bob", "reason": "x"}, r"user_deleted: 'reason' is not declared"),
        ({"actor": "ada"}, r"user_deleted: 'target' is missing"),
        ({"actor": 7, "target": "bob"}, r"user_deleted: 'actor' is int, declared as str"),
        ({"actor": None, "extra": 1}, r"'extra' is not declared; 'actor' is NoneType.*; 'target' is missing"),
    ],
)
def test_a_wrong_field_is_an_error_at_the_call(fields, told):
    audit, lines = _audit()
    with pytest.raises(AuditError, match=told):
        audit(USER_DELETED, **fields)
    assert lines == []


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (int, [1], [True, "1", 1.0]),
        (float, [1.5, 1], [True, "1"]),
        (bool, [True], [1]),
        (str | None, ["a", None], [1]),
        (list[str], [[], ["a"]], [["a", 1], "a", ("a",)]),
        (dict[str, int], [{"a": 1}], [{"a": "1"}, {1: 1}]),
        (Literal["a", "b"], ["a"], ["c"]),
    ],
    ids=str,
)
def test_types_are_checked(kind, right, wrong):
    audit, lines = _audit()
    event = declare("event", value=kind)
    for value in right:
        audit(event, value=value)
    assert len(lines) == len(right)
    for value in wrong:
        with pytest.raises(AuditError, match="'value' is"):
            audit(event, value=value)


def test_in_production_a_wrong_entry_is_written_and_told(internal_failures):
    audit, lines = _audit(strict=False)
    audit(USER_DELETED, actor="ada", secret="x", note="ada@example.com")
    entry = _only(lines)
    assert entry["actor"] == "ada"
    assert entry["undeclared"] == {
        "problems": ["'secret' is not declared", "'note' is not declared", "'target' is missing"],
        "fields": {"secret": MASK, "note": MASK},
    }
    [(where, error)] = internal_failures
    assert (where, type(error)) == ("audit log", AuditError)
    internal_failures.clear()


def test_declared_fields_pass_redaction_and_exact_ones_do_not():
    audit, lines = _audit()
    audit(RoleGranted(actor="ada@example.com", role="reader", address="bob@example.com"))
    audit(declare("mailed", sender=str, recipient=str, exact=["recipient"]), sender="a@b.org", recipient="c@d.org")
    first, second = (json.loads(line) for line in lines)
    assert (first["actor"], first["address"]) == (MASK, "bob@example.com")
    assert (second["sender"], second["recipient"]) == (MASK, "c@d.org")


@pytest.mark.parametrize("name", ["severity", "message", "time", "audit_event"])
def test_fields_that_entries_use_themselves_cannot_be_declared(name):
    fields: dict[str, Any] = {name: str}
    with pytest.raises(AuditError, match=name):
        declare("event", **fields)


def test_an_exact_field_has_to_be_declared():
    with pytest.raises(AuditError, match="target"):
        declare("event", actor=str, exact=["target"])


def test_events_are_named_after_their_class():
    class HTTPKeyRotated(AuditEvent):
        pass

    assert declared_by(HTTPKeyRotated).name == "http_key_rotated"


def test_a_write_that_fails_never_fails_the_caller(internal_failures):
    def fail(_line: bytes) -> None:
        raise OSError

    audit = get_audit_logger(fail, [], redaction=Redaction(), strict=True)
    audit(USER_DELETED, actor="ada", target="bob")
    assert [where for where, _ in internal_failures] == ["audit log"]
    internal_failures.clear()
