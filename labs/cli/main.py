"""The command `lab`: its groups of commands, and how it ends."""

import sys
from typing import NoReturn

import typer

from environment.errors import LabError
from labs.cli import doctor, images, kafka, runs, session
from labs.cli.options import errors

app = typer.Typer(
    name="lab",
    help="Microservices Lab: start, scale, break and heal the system of a phase, and run its labs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (doctor, session, runs):
    app.add_typer(commands.app)
app.add_typer(images.app, name="images")
app.add_typer(kafka.app, name="kafka")


def main() -> NoReturn:
    """Run a command; print an error that a user can act on without a traceback."""
    try:
        app(standalone_mode=True)
    except LabError as error:
        errors.print("error:", style="bold red", end=" ")
        errors.print(str(error), markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("interrupted", style="bold red")
        sys.exit(130)
    sys.exit(0)
