"""Secrets in the forms in which services, shells and databases write names and values."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from app.core.redaction import Redaction
from support.provenance import our_choice

SECRET = "hunter2-Zq9xK"
RANDOM = "4f9a3c1be7d25806a1c4e9f07b3d6258"
NAMES = ("password", "X-Api-Key", "clientSecret", "smtp_pass", "hmac_key", "mfa_code", "backup_codes", "basic_auth")

FORMS: dict[str, Any] = {
    "option": lambda name: f"psql --{name} {SECRET} --host db",
    "option in quotes": lambda name: f"psql --{name} '{SECRET} and more'",
    "element": lambda name: f"<login><ns:{name}>{SECRET}</ns:{name}></login>",
    "encoded address": lambda name: quote(f"https://example.com/?{name}={SECRET}&page=2", safe=""),
    "address in an address": lambda name: f"/login?next={quote(f'https://example.com/?a=1&{name}={SECRET}', safe='')}",
    "name beside value": lambda name: {"name": name, "value": SECRET},
    "key beside value": lambda name: [{"key": name, "value": SECRET}],
    "pairs out of JSON": lambda name: [["accept", "*/*"], [name, SECRET]],
    "command line": lambda name: ["psql", f"--{name}", SECRET, "--host", "db"],
    "JSON in JSON": lambda name: json.dumps({"body": json.dumps({name: SECRET})}),
    "bytes": lambda name: f'{{"{name}": "{SECRET}"}}'.encode(),
    "form field": lambda name: f"form[{name}]={SECRET}",
}


@our_choice("a secret is known by its name in every form that names and values have in logs")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_known_by_its_name_in_every_form(form, name):
    redaction = Redaction()
    for _again in range(2):  # what was learnt of the first entry must not let a second one through
        told = json.dumps(redaction.fields({"seen": FORMS[form](name)}))
        assert SECRET not in told
        assert "[redacted]" in told


@pytest.mark.parametrize(
    "text",
    [
        f"postgres%3A%2F%2Fada%3A{SECRET}%40db%2Forders",
        f"(psycopg.Error) no\n[SQL: INSERT INTO a VALUES (%(a)s)]\n[parameters: ('ada', '{SECRET}')]",
        f"[parameters: {{'name': 'ada', 'note': '{SECRET}'}}]\n(Background on this error at: https://sqlalche.me/e/20/gkpj)",
    ],
)
def test_a_secret_is_known_by_its_place(text):
    told = Redaction().text(text)
    assert SECRET not in told
    assert "[redacted]" in told


@pytest.mark.parametrize("name", ["path", "url", "Referer", "location"])
def test_what_looks_random_in_an_address_is_a_secret_in_a_log_call_too(name):
    redaction = Redaction()
    for _again in range(2):
        assert redaction.fields({name: f"/reset/{RANDOM}"}) == {name: "/reset/[redacted]"}
        assert redaction.fields({name: "/orders/7"}) == {name: "/orders/7"}


@pytest.mark.parametrize(
    "value",
    [
        {"name": "colour", "value": "red"},
        [["accept", "*/*"], ["password", "email", "name"]],
        ["password", "email"],
        ["git", "commit", "--message", "token"],
        "the flag --verbose was given",
        "<name>Ada</name>",
        "a%3Db%26c%3Dd",
        "primary_key=7 cache_key=items",
        "the parameters: (a, b)",
    ],
)
def test_what_is_no_secret_stays(value):
    assert Redaction().fields({"seen": value}) == {"seen": value}
