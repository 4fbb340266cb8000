"""The policy `error_logged` on what the library really writes: its own line, as the logging agent reads it."""

import json
from pathlib import Path

from app.emulator.alerting.log_match import compiled
from app.emulator.definitions import data_root, load
from app.emulator.logging.record import Record
from app.emulator.run.agent import Source
from app.emulator.run.lines import line_of

# A test of the documents keeps this file equal to the library's output: the error, then the access entry.
WRITTEN = Path(__file__).parents[3] / "docs" / "examples" / "report_error.out.json"


def entries() -> list[Record]:
    decoder, text, at = json.JSONDecoder(), WRITTEN.read_text(encoding="utf-8"), 0
    source = Source("my-project", "shop", "shop-00007-abc", "europe-west1", "0", "1")
    found: list[Record] = []
    while at < len(text.rstrip()):
        data, at = decoder.raw_decode(text, at)
        entry = source.entry(line_of("stdout", len(found), json.dumps(data).encode()))
        found.append(Record(entry, entry.ByteSize()))
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def test_the_librarys_own_entry_is_told_once_by_type_and_route() -> None:
    given = {"service": "shop", "environment": "production", "project": "my-project"}
    given |= {"runbook_base_url": "https://example.com/runbooks"}
    (policy,) = load(data_root() / "policies" / "error_logged.yaml.tftpl", given)
    condition = compiled(policy.message().conditions[0].condition_matched_log)
    error, access = entries()
    (told,) = condition.observed([error, access])
    assert told.extracted == {"route": "/items/{item_id}", "type": "KeyError"}
    assert condition.observed([access]) == []
