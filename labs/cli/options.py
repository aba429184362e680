"""Options that several of `lab`'s commands take."""

from typing import Annotated

import typer

from environment.errors import LabError

SessionOption = Annotated[
    str | None, typer.Option("--session", help="Which session; default: the only live one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def pairs(words: list[str], example: str) -> list[tuple[str, str]]:
    """`NAME=VALUE` words, taken apart. Raises `LabError` that shows the example."""
    taken = [word.partition("=") for word in words]
    for word, (name, separator, _) in zip(words, taken, strict=True):
        if not name or not separator:
            raise LabError(f"Expected {example}, found {word!r}.")
    return [(name, value) for name, _, value in taken]
