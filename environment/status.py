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
    return str(_template().render(title=title, columns=COLUMNS, rows=rows))


def text_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The same table for a terminal, columns aligned."""
    cells = [
        list(COLUMNS.values()),
        *([str(row.get(name, "")) for name in COLUMNS] for row in rows),
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    lines = [
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([title, *lines])


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader

    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).get_template(
        "status.html"
    )
