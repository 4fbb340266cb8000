"""What a client gets to see when the emulator itself has a bug."""

import sys
import traceback

from ..status import ApiError, Code


def internal_error(method: str) -> ApiError:
    """INTERNAL for the exception being handled, which no service meant to raise; its traceback goes to stderr."""
    sys.stderr.write(f"The emulator failed in {method}:\n{traceback.format_exc()}")
    return ApiError(Code.INTERNAL, f"The emulator failed in {method}; its standard error output has the traceback.")
