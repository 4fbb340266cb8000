"""Errors as Google's APIs tell them: a canonical code, a message, typed details."""

from enum import IntEnum
from typing import Self

from google.protobuf.message import Message


class Code(IntEnum):
    """google.rpc.Code with its HTTP mapping (google/rpc/code.proto)."""

    http: int

    def __new__(cls, number: int, http: int) -> Self:
        code = int.__new__(cls, number)
        code._value_ = number
        code.http = http
        return code

    CANCELLED = 1, 499
    UNKNOWN = 2, 500
    INVALID_ARGUMENT = 3, 400
    DEADLINE_EXCEEDED = 4, 504
    NOT_FOUND = 5, 404
    ALREADY_EXISTS = 6, 409
    PERMISSION_DENIED = 7, 403
    RESOURCE_EXHAUSTED = 8, 429
    FAILED_PRECONDITION = 9, 400
    ABORTED = 10, 409
    OUT_OF_RANGE = 11, 400
    UNIMPLEMENTED = 12, 501
    INTERNAL = 13, 500
    UNAVAILABLE = 14, 503
    DATA_LOSS = 15, 500
    UNAUTHENTICATED = 16, 401


class ApiError(Exception):
    """What a service object raises; both wires translate it."""

    def __init__(self, code: Code, message: str, *details: Message) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


def invalid(message: str, *details: Message) -> ApiError:
    return ApiError(Code.INVALID_ARGUMENT, message, *details)


def invalid_field(path: str, why: str, value: object = None) -> ApiError:
    """The sentence Google's Monitoring API uses for one wrong field, e.g. in googleapis/python-monitoring#57."""
    shown = "" if value is None else f' of "{value}"'
    return invalid(f"Field {path} had an invalid value{shown}: {why}")


def missing_field(path: str) -> ApiError:
    """The sentence for an absent field (docs.cloud.google.com/monitoring/api/troubleshooting)."""
    return invalid(f"Request was missing field {path}.")


def not_found(message: str) -> ApiError:
    return ApiError(Code.NOT_FOUND, message)


def already_exists(message: str) -> ApiError:
    return ApiError(Code.ALREADY_EXISTS, message)


def unimplemented(method: str) -> ApiError:
    return ApiError(Code.UNIMPLEMENTED, f"The emulator does not answer {method} yet.")
