"""`lab handout` and `lab solutions`: what students get, and what instructors get beside it."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A new folder outside of this clone.")]


@app.command()
def handout(folder: Folder) -> None:
    """Write what students get: the course without reference answers and stored verdicts."""
    from labs.handout import write_handout

    print(f"{write_handout(folder)} files in {folder}")


@app.command()
def solutions(folder: Folder) -> None:
    """Write what instructors get: the reference answers, and the labs with their verdicts."""
    from labs.handout import write_solutions

    print(f"{write_solutions(folder)} files in {folder}")
