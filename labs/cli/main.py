"""The command `lab`: its groups of commands, and how it ends."""

import sys
from typing import NoReturn

import typer

from environment.errors import LabError
from labs.cli import classroom, doctor, handout, images, kafka, runs, saga, session
from labs.cli.options import errors
from labs.cli.output import CannotWrite, give_up

app = typer.Typer(
    name="lab",
    help="Microservices Lab: start, scale, break and heal the system of a phase, and run its labs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (doctor, session, saga, runs, classroom, handout):
    app.add_typer(commands.app)
app.add_typer(images.app, name="images")
app.add_typer(kafka.app, name="kafka")


def main() -> NoReturn:
    """Run a command; print an error that a user can act on without a traceback."""
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()
    except LabError as error:
        _report(str(error))
        sys.exit(2)
    except CannotWrite as error:
        give_up()
        if not error.closed:
            _report(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("interrupted", style="bold red")
        sys.exit(130)
    sys.exit(0)


def _report(problem: str) -> None:
    errors.print("error:", style="bold red", end=" ")
    errors.print(problem, markup=False, soft_wrap=True)
