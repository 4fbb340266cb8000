import random

import pytest

from app.core.spool import frames

MARKER = bytes.fromhex("0123456789abcdef")
SEED = 7


def _payload(number):
    return f"record {number} ".encode() * (1 + number % 7)


def _segment(count, done=()):
    """A segment, and where each of its records stands."""
    data = frames.origin(MARKER, b"origin")
    places = {}
    for number in range(count):
        frame = frames.record(MARKER, number, _payload(number))
        places[number] = (len(data), len(data) + len(frame))
        data += frame
    if done:
        data += frames.done(MARKER, done)
    return data, places


def test_what_was_written_is_read_without_what_is_done():
    data, _ = _segment(5, done=[1, 3])
    content = frames.read(data, MARKER)
    assert content.origin == b"origin"
    assert content.records == {number: _payload(number) for number in (0, 2, 4)}
    assert content.lost == 0


def _cut(data, dice):
    at = dice.randrange(len(data))
    return data[:at], (at, len(data))


def _flip(data, dice):
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :], (at, at + 1)


def _zero(data, dice):
    at = dice.randrange(len(data))
    end = min(len(data), at + dice.randrange(1, 200))
    return data[:at] + bytes(end - at) + data[end:], (at, end)


def _scramble(data, dice):
    at = dice.randrange(len(data))
    end = min(len(data), at + dice.randrange(1, 200))
    return data[:at] + dice.randbytes(end - at) + data[end:], (at, end)


@pytest.mark.parametrize("damage", [_cut, _flip, _zero, _scramble])
def test_every_record_that_is_intact_is_read_and_no_other_in_2500_cases(damage):
    dice = random.Random(SEED)
    for _ in range(2500):
        data, places = _segment(dice.randrange(1, 30))
        damaged, (begin, end) = damage(data, dice)
        content = frames.read(damaged, MARKER)
        intact = {number for number, (start, stop) in places.items() if stop <= begin or start >= end}
        assert intact <= content.records.keys(), f"seed {SEED}"
        assert all(payload == _payload(number) for number, payload in content.records.items())
        missing = len(places) - len(content.records)
        if damage is not _cut and content.records:
            assert bool(content.lost) >= bool(missing)
        assert content.lost <= missing + 1


def test_a_record_cannot_pretend_to_be_others():
    fake = frames.record(b"A" * 8, 7, b"forged")
    data, _ = _segment(2)
    data += frames.record(MARKER, 2, fake) + frames.record(MARKER, 3, b"after")
    broken = bytearray(data)
    broken[data.index(fake) - 3] ^= 1  # the checksum of the record that holds it
    content = frames.read(bytes(broken), MARKER)
    assert set(content.records) == {0, 1, 3}
    assert content.lost == 1


def test_any_bytes_are_read_without_an_error():
    dice = random.Random(SEED)
    for _ in range(300):
        noise = b"".join(dice.choice([MARKER, dice.randbytes(dice.randrange(40))]) for _ in range(dice.randrange(20)))
        assert frames.read(noise, MARKER).records == {}
