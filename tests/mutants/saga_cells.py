"""Starts a participant of the saga with other cells in its table: those of a wrong design that the checker names."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from microservices.checker.mutants import MUTANTS
from microservices.kit.saga import Step, Table
from tests.mutants.service import run_with

Cells = Mapping[tuple[str, str], Step | None]


def cells_of(design: str, participant: str) -> Cells:
    """The cells that a wrong design of the checker changes in one participant's table; None removes one."""
    changed = MUTANTS[design].cells
    return {
        (state, event): step
        for (name, state, event), step in changed.items()
        if name == participant
    }


def change(table: Table, cells: Cells) -> None:
    """Change a table in place, for everything that has imported it."""
    assert isinstance(table, dict)
    for cell, step in cells.items():
        table.pop(cell, None)
        if step is not None:
            table[cell] = step


def run_design(design: str, service: str) -> None:
    """Run a service with the cells of a wrong design, which must change something in its table."""
    participant = service.removesuffix("-service")
    saga: Any = import_module(f"microservices.{participant}_service.saga")
    cells = cells_of(design, participant)
    before = dict(saga.TABLE)
    change(saga.TABLE, cells)
    if before == saga.TABLE:
        raise ValueError(f"{design} changes nothing in {service}")
    decide: Callable[..., Any] = saga.decide
    run_with(service, saga, "decide", decide)
