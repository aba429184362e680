"""What the commands of `lab` share: options, `NAME=VALUE` arguments, progress on standard error."""

from typing import Annotated

import typer
from rich.console import Console

from environment.errors import LabError

errors = Console(stderr=True, highlight=False)

SessionOption = Annotated[
    str | None, typer.Option("--session", help="Which session; default: the only live one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def say(line: str) -> None:
    """Print progress on standard error, where it does not disturb a script that reads the output."""
    errors.print(f"  {line}", style="dim", markup=False)


def pairs(assignments: list[str], example: str) -> list[tuple[str, str]]:
    """Split `NAME=VALUE` arguments into names and values.

    Raises:
        LabError: An argument has another form; the message shows the example.
    """
    split = [assignment.partition("=") for assignment in assignments]
    for assignment, (name, separator, _) in zip(assignments, split, strict=True):
        if not name or not separator:
            raise LabError(f"Expected {example}, found {assignment!r}.")
    return [(name, value) for name, _, value in split]
