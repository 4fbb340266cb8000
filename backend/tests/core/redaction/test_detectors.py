import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.redaction import MASK, Redaction
from app.core.redaction.detectors import CARD, DETECTORS, is_card_number, suspect
from support.provenance import known_from, our_choice

REDACTION = Redaction()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.s5J7-_x"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc-\n-----END RSA PRIVATE KEY-----"
EVERYTHING = 31


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from ada@example.com to", f"from {MASK} to"),
        ("'o'brien.x+y@mail.example.co.uk'", f"'{MASK}'"),
        ("mailto:ada%40example.com?x", f"mailto:{MASK}?x"),
        ("jörg@münchen.de", MASK),
        ("sent Bearer abc123 on", f"sent Bearer {MASK} on"),
        ("sent bearer abcdefghijklm on", f"sent bearer {MASK} on"),
        ("Basic dTpw", f"Basic {MASK}"),
        (f"got {JWT}.", f"got {MASK}"),
        ("eyJhbGciOiJub25lIn0", MASK),
        ("AIza" + "Sy-_0" * 7, MASK),
        ("ya29.a0AfH6SMBxxxxxxxxxx", MASK),
        ("ghp_" + "a" * 36, MASK),
        ("github_pat_" + "a1_" * 20, MASK),
        ("xoxb-1234567890-abcdef", MASK),
        ("sk_live_" + "x" * 24, MASK),
        ("AKIAIOSFODNN7EXAMPLE", MASK),
        (f"key {KEY} after", f"key {MASK} after"),
        (KEY[:50] + " cut", MASK),
        ("paid 4111 1111 1111 1111 123", f"paid {MASK} 123"),
        ("paid 4111-1111-1111-1111.", f"paid {MASK}."),
        ("paid 4111111111111111", f"paid {MASK}"),
        ("amex 3782 822463 10005, 378282246310005", f"amex {MASK}, {MASK}"),
        ("ref 5501 4111 1111 1111 1111", f"ref 5501 {MASK}"),
        ("card 6304 0000 0000 0000 000", f"card {MASK}"),
        ("postgresql://ada:s3cret@db:5432/x", f"postgresql://{MASK}@db:5432/x"),
        ("redis://:pa/ss?w#rd@db:1/0", f"redis://{MASK}@db:1/0"),
        ("https://t0ken@github.com/x", f"https://{MASK}@github.com/x"),
        ("https://u:p@[::1]:80/", f"https://{MASK}@[::1]:80/"),
        ("GET /a?token=abc&x=1 HTTP/1.1", f"GET /a?token={MASK}&x=1 HTTP/1.1"),
        ("http://h/a?X-Goog-Signature=ab%20c&key=k#access_token=t", f"http://h/a?X-Goog-Signature={MASK}&key={MASK}#access_token={MASK}"),
        ("http://h/?api%5Fkey=k", f"http://h/?api%5Fkey={MASK}"),
        ("password=hunter2 next", f"password={MASK} next"),
        ("password=a,b;c&d)e next", f"password={MASK} next"),
        ("login(password=abc, user=bob)", f"login(password={MASK}, user=bob)"),
        ("User(name='ada', password='it\\'s')", f"User(name='ada', password='{MASK}')"),
        ('{"password": "a b", "token": ["x", "]"], "n": 1}', f'{{"password": "{MASK}", "token": {MASK}, "n": 1}}'),
        ('{\\"password\\": \\"hunter2\\"}', f'{{\\"password\\": \\"{MASK}\\"}}'),
        ("Credentials(password=SecretBox('x'))", f"Credentials(password={MASK})"),
        ("Authorization: Digest username=x", f"Authorization: {MASK}"),
        ("Cookie: a=b; c=d\nnext", f"Cookie: {MASK}\nnext"),
        ("[(b'cookie', b'abc')]", f"[(b'cookie', b'{MASK}')]"),
        ("api key: zzz", f"api key: {MASK}"),
        ("AccountKey=abc==;EndpointSuffix=x", f"AccountKey={MASK};EndpointSuffix=x"),
    ],
)  # fmt: skip
def test_a_secret_in_a_text_is_masked(text, expected):
    assert REDACTION.text(text) == expected
    assert REDACTION.text(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "basic understanding of Bearer token authentication",
        'WWW-Authenticate is Bearer realm="x"',
        "the bearer asked",
        "lodash@4.17.21 and root@localhost at 12:30:45",
        "https://example.com:8080/users/@ada?page=2&size=10#top",
        "http://h/orders/123e4567-e89b-12d3-a456-426614174000",
        "1763686528000 1763686528000000 1763686528000000000",
        "0.4111111111111111 and 4111111111111112",
        "a4111111111111111 41111111111111111111",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "max_tokens=12 has_password=True password=None",
        "task-scheduler and asterisk-based names, AKIA is short",
        "password",
        "x=1, y='2', (3, 'four')",
    ],
)
def test_a_text_without_a_secret_stays(text):
    assert REDACTION.text(text) == text


@known_from(docs="https://www.iso.org/standard/70484.html (ISO/IEC 7812-1, annex B: check digit)")
@given(st.text("0123456789", min_size=12, max_size=18))
def test_of_ten_check_digits_one_is_right(digits):
    right = [last for last in "0123456789" if is_card_number("4" + digits[1:] + last)]
    assert len(right) == 1


@our_choice("a random generator of examples would plant numbers that no issuer has; times in ms begin with 1")
def test_numbers_of_no_issuers_range_are_no_cards():
    assert not is_card_number("1000000000000008")
    assert is_card_number("4000000000000002")


PLANTED = {
    "email": "ada@example.com",
    "bearer": "Bearer abcd",
    "lower": "bearer abcdefghijklm",
    "basic": "basic dXNlcjpwYXNzd29yZA==",
    "jwt": JWT,
    "google": "AIza" + "x" * 35,
    "github": "gho_" + "1" * 16,
    "slack": "xapp-" + "1" * 13,
    "stripe": "rk_test_" + "z" * 16,
    "aws": "ASIA" + "Z" * 16,
    "sendgrid": "SG." + "a" * 16 + "." + "b" * 16,
    "pem": KEY,
    "card": "4111111111111111",
    "printed": "4111 1111 1111 1111",
    "hyphens": "3782-822463-10005",
    "url": "http://u:p@h",
    "query": "?token=abc",
    "pair": "pin=1234",
    "header": "('cookie', 'x')",
}


@pytest.mark.parametrize("name", PLANTED)
@given(before=st.text(max_size=40), after=st.text(max_size=40))
def test_the_short_way_finds_what_all_detectors_find(name, before, after):
    text = f"{before} {PLANTED[name]} {after}"
    everything = REDACTION._detect(text, EVERYTHING)
    assert REDACTION.text(text) == everything
    assert suspect(text)


@given(st.text(st.sampled_from("ab1-_ .,:@=%B'\"?&/41eyJ\n"), max_size=80))
def test_the_short_way_agrees_on_any_text(text):
    assert REDACTION.text(text) == REDACTION._detect(text, EVERYTHING)


def test_clean_texts_are_recognised_at_once():
    assert suspect("order 1042 for ada, shipped with configuration 7 in 12 ms") == 0
    assert suspect("from 123e4567-e89b-12d3-a456-426614174000 and 2026-11-21") & ~CARD == 0


def test_random_secrets_behind_every_known_prefix_are_found():
    prefixes = ["ghp_", "glpat-", "npm_", "pypi-", "sk_live_", "whsec_", "sk-", "GOCSPX-", "ya29."]
    for prefix in prefixes:
        secret = secrets.token_hex(16)
        assert REDACTION.text(f"x {prefix}{secret} y") == f"x {MASK} y"


def test_every_detector_has_a_rule_of_its_own():
    assert all(detector.rule in Redaction()._modes for detector in DETECTORS)
