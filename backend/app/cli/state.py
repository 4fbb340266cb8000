"""`cloudops state`: everything an emulator keeps, as one file."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import fail, http_address

if TYPE_CHECKING:
    import httpx

state = typer.Typer(help="Everything an emulator keeps, as one file.", no_args_is_help=True)

_SECONDS = 600.0
_File = Annotated[Path, typer.Argument(help="The state file.", dir_okay=False)]
_DataDir = Annotated[
    Path | None,
    typer.Option(
        help="The data directory of an emulator that does not run, instead of one that does.", file_okay=False
    ),
]


@state.command("export")
def export(file: _File, *, data_dir: _DataDir = None) -> None:
    """Write the state of the emulator at CLOUDOPS_EMULATOR_HTTP, or of a data directory, to a file.

    [bold]Examples[/bold]

    cloudops state export before.state

    cloudops state export before.state --data-dir .cloudops
    """
    import httpx  # noqa: PLC0415  # this verb only

    from .client import credentials  # noqa: PLC0415  # as above

    # Beside the file, and renamed when it is whole: an export that fails leaves the last one as it was.
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent if file.parent.is_dir() else None)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            if data_dir is None:
                url = f"{http_address()}/control/state"
                with httpx.stream("GET", url, headers=credentials(), timeout=_SECONDS) as answer:
                    if answer.is_error:
                        answer.read()
                        fail(f"The emulator answered {answer.status_code}: {_told(answer)}")
                    for piece in answer.iter_bytes():
                        target.write(piece)
            else:
                from ..emulator.journal import open_data_dir  # noqa: PLC0415  # this verb only
                from ..emulator.state.archive import packed  # noqa: PLC0415  # as above

                if not (data_dir / "journal.sqlite").is_file():
                    fail(f"{data_dir} is no data directory of an emulator.")
                with contextlib.ExitStack() as closing:
                    for piece in packed(open_data_dir(data_dir, closing).records()):
                        target.write(piece)
        part.replace(file)
    except httpx.HTTPError as error:
        fail(_nobody(error))
    except OSError as error:
        fail(str(error))
    finally:
        part.unlink(missing_ok=True)
    typer.echo(f"{file}: {file.stat().st_size:,} bytes")


@state.command("import")
def import_(file: _File, *, data_dir: _DataDir = None) -> None:
    """Put a state file into the emulator at CLOUDOPS_EMULATOR_HTTP, or into a new data directory; it has to be empty.

    [bold]Examples[/bold]

    cloudops state import before.state

    cloudops state import before.state --data-dir .cloudops-again
    """
    import httpx  # noqa: PLC0415  # this verb only

    from .client import credentials  # noqa: PLC0415  # as above

    try:
        with file.open("rb") as source:
            if data_dir is None:
                pieces = iter(lambda: source.read(2**16), b"")
                url = f"{http_address()}/control/state"
                answer = httpx.post(url, content=pieces, headers=credentials(), timeout=_SECONDS)
                if answer.is_error:
                    fail(f"The emulator answered {answer.status_code}: {_told(answer)}")
                records = answer.json()["records"]
            else:
                from ..emulator.journal import open_data_dir  # noqa: PLC0415  # this verb only
                from ..emulator.state.http_api import take_in  # noqa: PLC0415  # as above
                from ..emulator.status import ApiError  # noqa: PLC0415  # as above

                with contextlib.ExitStack() as closing:
                    try:
                        records = take_in(source, open_data_dir(data_dir, closing), None)
                    except ApiError as error:
                        fail(error.message)
    except httpx.HTTPError as error:
        fail(_nobody(error))
    except OSError as error:
        fail(str(error))
    typer.echo(f"{records:,} records taken in")


def _nobody(error: "httpx.HTTPError") -> str:
    return f"No emulator answers at {http_address()}: {error}. Start one with cloudops up, or name a --data-dir."


def _told(answer: "httpx.Response") -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
