"""The verbs of `cloudops`, each in its own file."""

from importlib import metadata
from typing import Annotated

import typer

from . import apply, deployed, doctor, lint, logs, parity, query, run, simulate, state, test, up

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        try:
            typer.echo(f"cloudops {metadata.version('fastapi-cloudops')}")
        except metadata.PackageNotFoundError:
            typer.echo("cloudops, not installed: run from its sources")
        raise typer.Exit


@app.callback()
def cloudops(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Google Cloud's operations suite on this machine: logs, metrics, alerts and dashboards without a project.

    [bold]A first round[/bold]

    cloudops up

    cloudops apply terraform/monitoring --var service=items --var environment=dev --var host=localhost

    cloudops run --service items -- uvicorn app.main:app --port 8080

    cloudops logs 'severity>=WARNING' --follow

    [bold]Where the emulator is[/bold]

    CLOUDOPS_EMULATOR_HOST=127.0.0.1:8085 (gRPC), CLOUDOPS_EMULATOR_HTTP=http://127.0.0.1:8086 (REST and page).
    """
    del version  # handled by its callback, before any verb


# Options that typer does not read.
_AS_GIVEN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def _doctor(context: typer.Context) -> None:
    # Here for the list of verbs; `cli.main` goes past typer for it.
    doctor.main(context.args)


app.command("up")(up.up)
app.command("run", context_settings={"allow_interspersed_args": False})(run.run)
app.command("apply")(apply.apply)
app.command("adopt")(deployed.adopt)
app.command("export")(deployed.export)
app.command("diff")(deployed.diff)
app.command("snooze")(deployed.snooze)
app.command("drill")(deployed.drill)
app.command("doctor", help=doctor.HELP.partition("\n")[0], context_settings=_AS_GIVEN)(_doctor)
app.command("query")(query.query)
app.command("logs")(logs.logs)
app.command("test")(test.run_tests)
app.command("lint")(lint.lint)
app.command("simulate")(simulate.simulate)
app.command("parity")(parity.parity)
app.add_typer(state.state, name="state")
