"""What is redacted, where, and how."""

import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, get_args

from .detectors import DETECTORS, PAIR, suspect
from .keys import Verdict, judge, words
from .pairs import redact_marked, redact_opaque, redact_pairs, redact_query, redact_urls
from .stack import redact_stack
from .walk import Known, Walk, collect

Mode = Literal["mask", "hash", "drop", "keep"]

#: What stands in place of a masked value.
MASK: Final = "[redacted]"
#: `key`: the value beneath a secret key; `opaque`: what looks random, in URLs, stack traces and exceptions.
RULES: Final = (
    "key", "userinfo", "query", "private_key", "credentials", "jwt", "google_key", "token", "card", "email", "opaque",
)  # fmt: skip

_HASHED: Final = re.compile(r"h:[0-9a-f]{16}")
_HASH_LETTERS: Final = 16
# Longer texts are cut: an entry has at most 256 KiB (cloud.google.com/logging/quotas).
_LONGEST_TEXT: Final = 256 * 1024
_CUT_REACH: Final = 4096
#: Behind the number of characters that are missing.
CUT_MARK: Final = " more characters]"
# How deep the short way looks.
_FLAT: Final = 3
_REMEMBERED_KEYS: Final = 2048
_LONGEST_REMEMBERED: Final = 128
# What pydantic and FastAPI tell about a wrong request is the request.
_ERROR_INPUTS: Final = frozenset({"input", "input_value"})
# Of workers without a key of their own: their hashes tell two values apart, and nothing outside of this process.
_PROCESS_KEY: Final = secrets.token_bytes(32)


class Redaction:
    """The policy. Its methods never raise, never change what they are given, and fail closed.

    Args:
        extra_keys: Names of keys that hold secrets too, in any spelling (`customer_no` also means `customerNo`).
        keep_keys: Names of keys that never do.
        mode: For all rules, or by rule's name (`RULES`; `"default"` for the rest): `mask` puts `[redacted]`, `hash` a
            short keyed hash, by which equal values are known as equal, `drop` nothing (and no key), `keep` leaves the
            value.
        hash_key: Key of the hashes. Empty: one that this process made up, so that hashes end with it.
        keep_email_domain: Mask `ada@example.com` as `[redacted]@example.com`.

    Raises:
        ValueError: An unknown mode or rule.
    """

    def __init__(
        self,
        extra_keys: Iterable[str] = (),
        keep_keys: Iterable[str] = (),
        mode: Mode | Mapping[str, Mode] = "mask",
        hash_key: bytes = b"",
        *,
        keep_email_domain: bool = False,
    ) -> None:
        self._extra = tuple(words(key) for key in extra_keys)
        self._keep = frozenset(words(key) for key in keep_keys)
        self._hash_key = hash_key or _PROCESS_KEY
        self._keep_email_domain = keep_email_domain
        self._modes = _modes(mode)
        self._replace = {rule: self._replacement(rule) for rule in RULES}
        self._detectors = tuple(one for one in DETECTORS if self._modes[one.rule] != "keep")
        self._judged: dict[str, Verdict] = {}
        self.known = Known()

    def hash(self, text: str) -> str:
        """A short keyed hash, such as `h:0f3c...`: equal for equal texts, and of no use to guess them by."""
        digest = hmac.digest(self._hash_key, text.encode("utf-8", "surrogatepass"), "sha256")
        return f"h:{digest.hex()[:_HASH_LETTERS]}"

    def text(self, text: str) -> str:
        """Any text, without what looks like a secret."""
        try:
            text = _bounded(text)
            found = suspect(text)
            return self._detect(text, found) if found else text
        except Exception:  # noqa: BLE001  # a hostile subclass of str; better no text than a secret
            return MASK

    def url(self, url: str) -> str:
        """A URL, or its path and query, without user, password, secret parameters and what looks random."""
        try:
            rest = self._urls(_bounded(url))
            if "://" not in rest:
                path, mark, query = rest.partition("?")
                rest = redact_opaque(path, self._replace["opaque"]) + mark + query
            return self.text(rest)
        except Exception:  # noqa: BLE001  # see text()
            return MASK

    def error(self, text: str) -> str:
        """The message of an exception: as `text`, and without values a validator was given and what looks random."""
        try:
            text = redact_pairs(_bounded(text), self._judge_input, self._replace["key"])
            return redact_opaque(self.text(text), self._replace["opaque"])
        except Exception:  # noqa: BLE001  # see text()
            return MASK

    def stack_trace(self, trace: str) -> str:
        """A formatted traceback, with the lines that name a file and a line as they were."""
        try:
            return redact_stack(_bounded(trace), self.text, self.error)
        except Exception:  # noqa: BLE001  # see text()
            return MASK

    def fields(self, fields: Mapping[str, object]) -> dict[str, object]:
        """A copy without secrets, at any depth. Values that are no plain data become their text."""
        try:
            if type(fields) is dict and "value" not in fields:  # see `Walk.mapping`
                unknown: list[str] = []
                if collect(fields, self.known.keys, self.known.texts, unknown, _FLAT) and self._all_clean(unknown):
                    return fields.copy()
            return Walk(self).mapping(fields)
        except Exception:  # noqa: BLE001  # a hostile mapping; better no fields than a secret
            return {"redacted": MASK}

    def value(self, value: object, key: str = "") -> object:
        """One value, beneath its key. A value that is to be dropped is None."""
        redacted = self.fields({key: value})
        return redacted.get(key)

    def headers(self, headers: Mapping[str, str] | Iterable[tuple[bytes | str, bytes | str]]) -> dict[str, str]:
        """Headers by their lower-case names; those sent more than once are joined by a comma."""
        try:
            result: dict[str, str] = {}
            for raw_name, raw_value in headers.items() if isinstance(headers, Mapping) else headers:
                name, value = _latin(raw_name).lower(), _latin(raw_value)
                if self.verdict(name):
                    if self._modes["key"] == "drop":
                        continue
                    value = self.secret(value)
                else:
                    value = self.text(value)
                result[name] = f"{result[name]}, {value}" if name in result else value
        except Exception:  # noqa: BLE001  # a hostile mapping; better no headers than a secret
            return {"redacted": MASK}
        return result

    # --- what the walk through nested data asks for

    @property
    def drops_keys(self) -> bool:
        return self._modes["key"] == "drop"

    def secret(self, text: str) -> str:
        """What stands in place of a value beneath a secret key."""
        return self._replace["key"](text)

    def verdict(self, key: str) -> Verdict:
        known = self._judged.get(key)
        if known is None:
            known = Verdict.CLEAR if self._modes["key"] == "keep" else judge(key, self._extra, self._keep)
            if len(key) <= _LONGEST_REMEMBERED:
                if len(self._judged) >= _REMEMBERED_KEYS:
                    self._judged.clear()
                self._judged[key] = known
        return known

    # --- texts

    def _all_clean(self, texts: list[str]) -> bool:
        if not texts:
            return True
        # Once for all: what a detector finds in one of them it finds, or trips over, in their lines together.
        together = "\n".join(texts)
        if len(together) > _LONGEST_TEXT:
            return False
        found = suspect(together)
        return not found or self._detect(together, found) == together

    def _detect(self, text: str, found: int) -> str:
        if found & PAIR:
            text = redact_marked(self._urls(text), self.verdict, self._replace["key"])
            text = redact_pairs(text, self.verdict, self._replace["key"])
        for detector in self._detectors:
            if detector.of & found:
                text = detector(text, self._replace[detector.rule])
        return text

    def _urls(self, text: str) -> str:
        if "://" in text:
            text = redact_urls(text, self._replace["userinfo"], self._replace["opaque"])
        if "=" in text and ("?" in text or "&" in text or "#" in text):
            text = redact_query(text, self.verdict, self._replace["query"], self._replace["opaque"])
        return text

    def _judge_input(self, name: str) -> Verdict:
        return Verdict.SECRET if name in _ERROR_INPUTS else self.verdict(name)

    def _replacement(self, rule: str) -> Callable[[str], str]:
        mode = self._modes[rule]

        def hashed(text: str) -> str:
            return text if text == MASK or _HASHED.fullmatch(text) else self.hash(text)

        def domain(text: str) -> str:
            return f"{MASK}@{re.split('@|%40', text)[-1]}"

        if rule == "email" and mode == "mask" and self._keep_email_domain:
            return domain
        by_mode: dict[Mode, Callable[[str], str]] = {
            "mask": lambda _: MASK,
            "hash": hashed,
            "drop": lambda _: "",
            "keep": lambda text: text,
        }
        return by_mode[mode]


def _modes(mode: Mode | Mapping[str, Mode]) -> dict[str, Mode]:
    given: Mapping[str, Mode] = {"default": mode} if isinstance(mode, str) else mode
    for rule, one in given.items():
        if rule != "default" and rule not in RULES:
            raise ValueError(f"{rule!r} is no rule of redaction; there are {', '.join(RULES)} and default")
        if one not in get_args(Mode):
            raise ValueError(f"{one!r} is no mode of redaction; there are {', '.join(get_args(Mode))}")
    return {rule: given.get(rule, given.get("default", "mask")) for rule in RULES}


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    # Back to white space: half a secret may look like none.
    cut = max(text.rfind(" ", _LONGEST_TEXT - _CUT_REACH, _LONGEST_TEXT), _LONGEST_TEXT - _CUT_REACH)
    kept = text[:cut].rstrip("0123456789- ")
    return f"{kept} [{len(text) - len(kept)}{CUT_MARK}"


def _latin(text: bytes | str) -> str:
    return text.decode("latin-1") if isinstance(text, bytes) else text
