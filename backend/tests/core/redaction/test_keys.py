import pytest

from app.core.redaction.keys import Verdict, judge, words


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("X-Api-Key", ("x", "api", "key")),
        ("xApiKey", ("x", "api", "key")),
        ("x.api_key", ("x", "api", "key")),
        ("APIKey", ("api", "key")),
        ("DB_PASSWORD", ("db", "password")),
        ("oauth2Token", ("oauth", "2", "token")),
        ("", ()),
        ("___", ()),
    ],
)
def test_a_name_has_the_same_words_in_every_spelling(key, expected):
    assert words(key) == expected


@pytest.mark.parametrize(
    "key",
    [
        "authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "password", "passwd", "pwd", "secret",
        "token", "accessToken", "refresh_token", "id-token", "apiKey", "X-Api-Key", "x_api_key", "APIKEY",
        "private_key", "client.secret", "clientSecret", "sessionId", "session_id", "card_number", "cardNumber",
        "cvv", "cvc", "pin", "ssn", "iban", "otp", "passwordHash", "user.password", "DB_PASSWORD", "dbpassword",
        "userPassword", "csrftoken", "X-CSRF-Token", "auth", "pass", "JSESSIONID", "aws_secret_access_key",
        "signing_key", "credentials", "httpx.headers.authorization", "x-goog-iap-jwt-assertion",
        "social_security_number", "verificationCode",
    ],
)  # fmt: skip
def test_a_key_that_names_a_secret_is_secret(key):
    assert judge(key) == Verdict.SECRET


@pytest.mark.parametrize(
    "key",
    [
        "tokenizer", "passenger", "author", "pinned", "keyboard", "authority", "monkey", "secretary", "passed",
        "compass", "bypass", "spinning", "opinion", "key", "keys", "keyword", "primary_key", "session_count",
        "user_id", "card", "message", "status", "cookie_name", "token_type", "tokenCount", "password_length",
        "secret_version", "token_expires_at", "password_expired_since", "tokenUrl", "authentication", "authors",
        "passes", "InvalidTokenError",
    ],
)  # fmt: skip
def test_a_key_that_only_looks_like_one_is_clear(key):
    assert judge(key) == Verdict.CLEAR


@pytest.mark.parametrize("key", ["tokens", "max_tokens", "promptTokens", "cookies"])
def test_plural_names_may_count_something(key):
    assert judge(key) == Verdict.COUNTED


def test_extra_names_are_secret_in_any_spelling_and_anywhere_in_a_key():
    extra = (words("customer_no"),)
    for key in ("customer_no", "customerNo", "X-Customer-No", "customer_no_length"):
        assert judge(key, extra) == Verdict.SECRET
    for key in ("customer", "no_customer", "customer_note"):
        assert judge(key, extra) == Verdict.CLEAR


def test_kept_names_are_clear_and_no_others():
    keep = frozenset({words("page_token")})
    assert judge("pageToken", (), keep) == Verdict.CLEAR
    assert judge("next_page_token", (), keep) == Verdict.SECRET


def test_a_key_longer_than_any_honest_one_is_secret():
    assert judge("x" * 513) == Verdict.SECRET
    assert judge("x" * 512) == Verdict.CLEAR
