from dataclasses import dataclass

from fastapi import FastAPI, HTTPException
from fastapi_cloudops import instrument
from fastapi_cloudops.core.logging.audit import AuditEvent, audit_field

app = FastAPI()
audit = instrument(app).audit


@dataclass(frozen=True)
class UserDeleted(AuditEvent):
    actor: str
    target: str = audit_field(exact=True)  # written as it is: no detector looks at it


def delete(actor: str, target: str) -> None:
    if not audit(UserDeleted(actor=actor, target=target)):
        raise HTTPException(503)  # nothing happens without a trace


delete("ada", target="bob@example.com")
