"""`/control/state` and `/control/storage`: all state as one file, and what is kept and what gave way."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO, TYPE_CHECKING, Any, Protocol

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ..journal import Journal
from ..status import ApiError, Code, invalid
from ..transport.json_wire import error_response, json_response
from .archive import MOST_BYTES, StateError, packed, unpacked

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_PIECE = 2**16
_IN_MEMORY = 2**20


class Kept(Protocol):
    """What of the emulator's parts is needed here."""

    def restore(self, kind: str, record: bytes) -> None: ...
    def settle(self) -> None: ...
    def kept(self) -> dict[str, Any]: ...


def routes(journal: Journal, parts: Kept) -> "list[BaseRoute]":
    async def export(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in packed(journal.records()):
                if piece:
                    yield piece
                    # Others are served meanwhile.
                    await asyncio.sleep(0)

        return StreamingResponse(
            pieces(),
            media_type="application/octet-stream",
            headers={"Content-Disposition": 'attachment; filename="cloudops.state"'},
        )

    async def import_(request: Request) -> Response:
        try:
            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
                size = 0
                async for piece in request.stream():
                    size += len(piece)
                    if size > MOST_BYTES:
                        raise invalid(f"The state is larger than {MOST_BYTES // 2**30} GiB.")
                    file.write(piece)
                return json_response({"records": take_in(file, journal, parts)})
        except ApiError as error:
            return error_response(error)

    async def storage(_: Request) -> Response:
        return json_response({**parts.kept(), "journalBytes": str(journal.size())})

    return [
        Route("/control/state", export, methods=["GET"]),
        Route("/control/state", import_, methods=["POST"]),
        Route("/control/storage", storage, methods=["GET"]),
    ]


def take_in(file: IO[bytes], journal: Journal, parts: Kept | None) -> int:
    """Put a state file into an empty journal, and into the parts that run on it; how many records there were.

    Raises:
        ApiError: INVALID_ARGUMENT when the file is not whole, FAILED_PRECONDITION when there is state already.
    """
    try:
        # Once to see that all of it is there, and only then to use it.
        count = sum(1 for _ in unpacked(_pieces(file)))
        if next(iter(journal.records()), None) is not None:
            why = (
                "This emulator has state of its own, which an import would mix with the file's. Import into a new one."
            )
            raise ApiError(Code.FAILED_PRECONDITION, why)
        for record in unpacked(_pieces(file)):
            journal.append(*record)
            if parts is not None:
                parts.restore(record.kind, record.body)
    except StateError as error:
        raise invalid(str(error)) from None
    if parts is not None:
        parts.settle()
    return count


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    return iter(lambda: file.read(_PIECE), b"")
