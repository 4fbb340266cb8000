import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

BACKEND = Path(__file__).parents[2]

# A megabyte of warnings, then a line on stdout that says how far it came.
TELL = """
from app.core import guard
for number in range(200):
    guard.warn(f"warning {number}", more="x" * 5000)
print("not held up", flush=True)
"""


def _start(stderr: int, code: str = TELL) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr, cwd=BACKEND)


def _filled_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, b"x" * 4096):
            pass
    os.set_blocking(writing, True)
    return reading, writing


def test_a_warning_waits_for_no_reader_of_stderr():
    reading, writing = _filled_pipe()
    with _start(writing) as process:
        os.close(writing)
        answer, _ = process.communicate(timeout=30)  # nobody has read a byte of stderr by then
    os.close(reading)
    assert answer == b"not held up\n"
    assert process.returncode == 0


def test_warnings_are_lines_of_json_on_stderr():
    with _start(subprocess.PIPE, "from app.core import guard; guard.warn('said', number=1, odd=object)") as process:
        _, errors = process.communicate(timeout=30)
    assert json.loads(errors) == {"severity": "WARNING", "message": "said", "number": 1, "odd": "<class 'object'>"}


def test_a_process_without_stderr_goes_on():
    code = "import os; os.close(2); " + TELL
    with _start(subprocess.PIPE, code) as process:
        answer, _ = process.communicate(timeout=30)
    assert answer == b"not held up\n"


def test_what_has_taken_the_number_of_a_stderr_that_never_was_gets_no_warning(tmp_path):
    code = (
        f'exec 2>&-; exec {sys.executable} -c \'import os; f = os.open("{tmp_path}/data", os.O_CREAT | os.O_WRONLY); '
    )
    code += "from app.core import guard; guard.warn(str(f)); print(f)'"
    answer = subprocess.run(["/bin/sh", "-c", code], stdout=subprocess.PIPE, cwd=BACKEND, check=True, timeout=30)
    assert answer.stdout == b"2\n"
    assert (tmp_path / "data").read_bytes() == b""
