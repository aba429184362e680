"""The table by which an environment displays itself: from a template in a notebook, as text elsewhere."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from environment.states import ServiceState, SessionState

TEMPLATES = Path(__file__).parent / "templates"

COLUMNS = {
    "service": "service",
    "version": "version",
    "replicas": "replicas",
    "ready": "ready",
    "address": "address",
    "memory_mib": "memory (MiB)",
}


def service_rows(state: SessionState) -> list[dict[str, Any]]:
    """Return one row per service of a session, with the keys of `COLUMNS`."""
    return [
        {
            "service": name,
            "version": _version(service, state["replaced"].get(name)),
            "replicas": len(service["replicas"]),
            "ready": sum(replica["ready"] for replica in service["replicas"]),
            "address": service["url"],
            "memory_mib": round(sum(replica["memory"] for replica in service["replicas"]) / 2**20),
        }
        for name, service in state["services"].items()
    ]


def _version(service: ServiceState, replaced: str | None) -> str:
    return f"{service['version']} with {replaced}" if replaced else service["version"]


def html_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of a notebook."""
    return str(template("status.html").render(title=title, columns=COLUMNS, rows=rows))


def text_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the same table for a terminal, columns aligned."""
    cells = [[str(row.get(name, "")) for name in COLUMNS] for row in rows]
    return "\n".join([title, aligned([list(COLUMNS.values()), *cells])])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines with the same number of cells each as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


@cache
def template(name: str) -> Any:
    """Return a template of this package, by which an object displays itself in a notebook."""
    from jinja2 import Environment, FileSystemLoader

    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).get_template(name)
