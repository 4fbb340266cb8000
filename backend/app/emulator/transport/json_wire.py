"""Google's JSON on the wire: bodies in, replies and errors out."""

import asyncio
import zlib
from typing import Any

import orjson
from google.protobuf import any_pb2, json_format
from starlette.requests import Request
from starlette.responses import Response

from ..status import ApiError, Code, invalid
from .limits import MAX_BODY_BYTES, MAX_BODY_SECONDS


def json_response(value: Any, status: int = 200, *, pretty: bool = True) -> Response:
    # Google's front end indents unless prettyPrint=false (cloud.google.com/apis/docs/system-parameters).
    body = orjson.dumps(value, option=(orjson.OPT_INDENT_2 if pretty else 0) | orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, media_type="application/json; charset=UTF-8")


def error_response(error: ApiError, *, pretty: bool = True) -> Response:
    """The error body of cloud.google.com/apis/design/errors#http_mapping."""
    body: dict[str, Any] = {"code": error.code.http, "message": error.message, "status": error.code.name}
    if error.details:
        body["details"] = [_detail(detail) for detail in error.details]
    return json_response({"error": body}, error.code.http, pretty=pretty)


def _detail(message: Any) -> Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return json_format.MessageToDict(packed)


async def read_json(request: Request) -> Any:
    """The body as JSON; an empty body is an empty object.

    Raises:
        ApiError: INVALID_ARGUMENT for a body that is too large, wrongly compressed or no JSON.
    """
    body = await read_body(request)
    if not body.strip():
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"Invalid JSON payload received. {str(error).capitalize()}.") from error


async def read_body(request: Request) -> bytes:
    """The body, unpacked.

    Raises:
        ApiError: INVALID_ARGUMENT for one that is too large or wrongly compressed.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip"}:
        raise invalid(f'Content-Encoding "{encoding}" is not understood: send gzip or nothing.')
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(MAX_BODY_SECONDS):
            async for chunk in request.stream():
                part = _inflate(inflate, chunk, MAX_BODY_BYTES - size + 1) if inflate else chunk
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise invalid(f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes.")
                parts.append(part)
    except TimeoutError:
        raise ApiError(
            Code.DEADLINE_EXCEEDED, f"The request's body did not arrive within {MAX_BODY_SECONDS:g} seconds."
        ) from None
    if inflate and size and not inflate.eof:
        raise invalid("The gzip body ends too early.")
    return b"".join(parts)


def _inflate(inflate: Any, chunk: bytes, limit: int) -> bytes:
    try:
        return bytes(inflate.decompress(chunk, limit))
    except zlib.error as error:
        raise invalid(f"The body is not gzip: {error}.") from error


def wants_pretty(request: Request) -> bool:
    return request.query_params.get("prettyPrint", "true") != "false"
