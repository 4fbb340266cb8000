import json
import os
import pty

import pytest

from app.core.logging.destination import cloud_logging, standard_output
from app.core.logging.terminal import Terminal
from support.emulator import running_emulator

LINE = json.dumps({"severity": "INFO", "message": "hello", "time": "2026-11-20T12:00:00Z"}).encode() + b"\n"


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


@pytest.fixture
def terminal():
    reading, writing = pty.openpty()
    yield reading, writing
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(("log_format", "readable"), [("auto", False), ("json", False), ("text", True)])
def test_a_pipe_gets_json_unless_text_is_asked_for(pipe, log_format, readable):
    reading, writing = pipe
    destination = standard_output(log_format, descriptor=writing)
    destination.write(LINE)
    assert (os.read(reading, 4096) == LINE) is not readable
    assert (destination.dropped, destination.close(5)) == (0, True)


@pytest.mark.parametrize(("log_format", "readable"), [("auto", True), ("json", False), ("text", True)])
def test_a_terminal_gets_text_unless_json_is_asked_for(terminal, monkeypatch, log_format, readable):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    reading, writing = terminal
    destination = standard_output(log_format, descriptor=writing)
    destination.write(LINE)
    assert isinstance(destination.write, Terminal) is readable
    assert os.read(reading, 4096).startswith(b"\x1b[2m" if readable else b"{")


def test_a_closed_descriptor_is_no_terminal(internal_failures):
    destination = standard_output(descriptor=4095)
    destination.write(LINE)
    assert destination.dropped == 1
    internal_failures.clear()


def test_the_api_takes_lines_until_it_is_closed_and_again_when_it_is_opened(capfd):
    with running_emulator() as emulator:
        destination = cloud_logging("demo", "items", emulator_host=emulator.grpc)
        destination.write(LINE)
        assert destination.close(10)
        assert destination.bytes > 0
        destination.write(LINE)
        destination.open()
        destination.write(LINE)
        assert destination.close(10)
        assert emulator.call(lambda: len(emulator.emulator.parts.logging.store.window(0, 2**62))) == 2
    assert capfd.readouterr().out.encode() == LINE
