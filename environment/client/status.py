"""How an environment shows itself: one table, from a template in a notebook, as text elsewhere."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"

COLUMNS = {
    "service": "service",
    "version": "version",
    "replicas": "replicas",
    "ready": "ready",
    "address": "address",
    "memory_mib": "memory (MiB)",
}


def html_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of a notebook."""
    return str(template("status.html").render(title=title, columns=COLUMNS, rows=rows))


def text_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The same table for a terminal, columns aligned."""
    words = [[str(row.get(name, "")) for name in COLUMNS] for row in rows]
    return "\n".join([title, aligned([list(COLUMNS.values()), *words])])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of words, of equal number, as columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


@cache
def template(name: str) -> Any:
    """A template of this package, by which something shows itself in a notebook."""
    from jinja2 import Environment, FileSystemLoader

    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).get_template(name)
