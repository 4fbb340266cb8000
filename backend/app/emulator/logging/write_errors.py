"""How WriteLogEntries tells which entries it did not take."""

from google.cloud.logging_v2.types import WriteLogEntriesPartialErrors
from google.protobuf.text_format import MessageToString
from google.rpc.error_details_pb2 import DebugInfo

from ..status import ApiError


def refusal(errors: dict[int, ApiError], stored: int, *, partial: bool = False) -> ApiError:
    """The status of a refused write: the first bad entry's, with its index where python-logging looks for it.

    `WriteLogEntriesPartialErrors` comes only when other entries were written (logging.proto, `partial_success`).
    """
    first = next(iter(errors.values()))
    if partial and not stored:
        return ApiError(first.code, first.message)
    listing = WriteLogEntriesPartialErrors.pb()()
    for index, error in errors.items():
        status = listing.log_entry_errors[index]
        status.code, status.message = int(error.code), error.message
    # google-cloud-python's Batch.commit finds `key: <index>` in this text.
    debug = DebugInfo(
        detail=f"[ORIGINAL ERROR] generic::{first.code.name.lower()}: {first.message} "
        f"[google.rpc.error_details_ext] {{ details {{ {MessageToString(listing, as_one_line=True)} }} }}"
    )
    return (
        ApiError(first.code, first.message, listing, debug) if partial else ApiError(first.code, first.message, debug)
    )
