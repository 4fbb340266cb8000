import secrets
import traceback

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from app.core.redaction import MASK, Redaction
from app.core.redaction.opaque import looks_random
from support.provenance import known_from, our_choice

REDACTION = Redaction()


class Card(BaseModel):
    number: int
    owner: dict[str, int]


def _trace_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _raised(error: BaseException, cause: BaseException | None = None) -> str:
    try:
        raise error from cause  # noqa: TRY301  # the frame is this one
    except BaseException as raised:  # noqa: BLE001  # groups too
        return _trace_of(raised)


def _frames(trace: str) -> list[str]:
    return [line for line in trace.splitlines() if 'File "' in line]


@known_from(docs="https://cloud.google.com/error-reporting/docs/formatting-error-messages")
@pytest.mark.parametrize("kind", ["plain", "chain", "group", "multiline"])
def test_frames_and_types_stay_and_messages_lose_their_secrets(kind):
    canary = secrets.token_hex(16)
    message = f"cannot pay for ada@example.com with {canary}"
    trace = {
        "plain": lambda: _raised(ValueError(message)),
        "chain": lambda: _raised(KeyError("outer"), ValueError(message)),
        "group": lambda: _raised(ExceptionGroup("two", [ValueError(message), TypeError("x")])),
        "multiline": lambda: _raised(ValueError(f"first\n    second {canary}\nlast ada@example.com")),
    }[kind]()
    shown = REDACTION.stack_trace(trace)
    assert _frames(shown) == _frames(trace) != []
    assert canary not in shown
    assert "ada@example.com" not in shown
    assert "ValueError: " in shown
    assert "Traceback (most recent call last):\n" in shown
    assert len(shown.splitlines()) == len(trace.splitlines())


def test_source_lines_stay_readable_and_lose_secrets_by_form():
    trace = _raised(ValueError("x"))
    line = next(line for line in trace.splitlines() if "raise error from cause" in line)
    assert line in REDACTION.stack_trace(trace)
    given = '  File "a.py", line 1, in f\n    connect(password="hunter2", getUserById2FromCacheV3)\nValueError: x\n'
    assert REDACTION.stack_trace(given) == given.replace("hunter2", MASK)


def test_a_frame_stays_even_where_its_path_looks_like_a_secret():
    given = (
        'Traceback (most recent call last):\n  | File "/srv/7f3a9c0d2b41e5a6f708/token=x/a.py", line 3, in f\nE: m\n'
    )
    assert REDACTION.stack_trace(given) == given


def test_a_private_key_over_many_lines_is_one_secret():
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\nabcd\n-----END PRIVATE KEY-----"
    trace = _raised(ValueError(f"bad key\n{key}\nend"))
    shown = REDACTION.stack_trace(trace)
    assert "MIIE" not in shown
    assert shown.endswith("end\n")


def test_what_a_validator_was_given_is_not_told():
    canary = "plain words of the client"
    with pytest.raises(ValidationError) as caught:
        Card.model_validate({"number": canary, "owner": {"a": canary, "b": [canary]}})
    shown = REDACTION.stack_trace(_trace_of(caught.value))
    assert canary not in shown
    assert "unable to parse string as an integer" in shown
    error = RequestValidationError(caught.value.errors(), body={"number": canary})
    assert canary not in REDACTION.error(str(error))


def test_a_message_cannot_pass_as_a_frame():
    given = 'ValueError: x\n  File "a.py", line 1, in f password=hunter2\n  File "b" ada@example.com, line 2\n'
    shown = REDACTION.stack_trace(given)
    assert "hunter2" not in shown
    assert "ada@" not in shown


@pytest.mark.parametrize(
    "run",
    [
        "7f3a9c0d2b41e5a6f7081920",
        "canary-7f3a9c0d2b41",
        "Xk2_9vQ-pL0aZr7TqW3s",
        "A1B2C3D4E5F6G7H8",
        "abCDeFGhIjKLmNOpQRsTUv",
    ],
)
def test_what_looks_random_is_taken_for_a_secret(run):
    assert looks_random(run)


@our_choice("ids of records are worth more in an error than the rare secret in the form of a UUID")
@pytest.mark.parametrize(
    "run",
    [
        "123e4567-e89b-12d3-a456-426614174000",
        "20261121T005528Z",
        "1763686528000000000",
        "some_long_snake_case_name_v2",
        "getUserByIdFromCache",
        "a-long-slug-of-an-article-2026",
        "short7f3a9c",
        "us-central1-docker-pkg",
    ],
)
def test_names_and_ids_stay(run):
    assert not looks_random(run)


def test_nearly_every_random_secret_looks_random():
    made = [secrets.token_hex(16) for _ in range(500)] + [secrets.token_urlsafe(24) for _ in range(500)]
    assert sum(looks_random(one) for one in made) >= 995
