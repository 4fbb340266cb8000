"""The `cloudops` command."""

import sys

_NEEDS_EXTRA = (
    "cloudops needs one more group of packages ({name} is missing): pip install 'fastapi-cloudops[emulator]'\n"
)


def main() -> None:
    """The console script: exit code 0 done, 1 it could not be done, 2 it was called wrongly."""
    if sys.argv[1:2] == ["doctor"]:  # works without the extra
        from .doctor import main as doctor  # noqa: PLC0415  # this verb only

        doctor(sys.argv[2:])
    try:
        from .commands import app  # noqa: PLC0415  # typer comes with an extra, and its absence has its own message

        app(prog_name="cloudops")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __name__.partition(".")[0]:
            raise
        sys.stderr.write(_NEEDS_EXTRA.format(name=error.name))
        raise SystemExit(2) from None
