import pytest

from support.log_output import Pipe


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.end()
