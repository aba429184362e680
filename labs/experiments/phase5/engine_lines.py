"""Lines of code that a saga needs, with an orchestrator of its own and as a workflow of an engine."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from labs.source import definitions

ROOT = Path(__file__).resolve().parents[3]
WORKER = "labs/experiments/phase5/engine_worker.py"

SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
"""Tokens that make no line of code."""

Place = tuple[str, tuple[str, ...]]
"""A file, and the definitions in it that count; all of the file when none is named."""


class Part(NamedTuple):
    """A part of a saga: where order-service 4 has it, and where the workflow has it."""

    name: str
    own: Sequence[Place]
    workflow: Sequence[Place] = ()


PARTS = (
    Part(
        "outbox and relay",
        (
            ("microservices/kit/events/outbox.py", ()),
            ("microservices/kit/events/relay.py", ()),
            ("microservices/kit/events/lease.py", ()),
        ),
    ),
    Part(
        "state row",
        (
            ("microservices/order_service/sagas.py", ()),
            ("microservices/order_service/v4.py", ("state_of", "save_state", "create_tables")),
            ("microservices/kit/events/participant.py", ("states", "find_state", "save_state")),
        ),
    ),
    Part(
        "deadline and its sweeper",
        (
            ("microservices/order_service/participation.py", ("cancel_overdue",)),
            ("microservices/kit/events/periodic.py", ()),
        ),
    ),
    Part(
        "retries",
        (
            ("microservices/kit/events/delivery.py", ("Delivery._settle", "wait_after")),
            ("microservices/kit/backoff.py", ()),
        ),
    ),
    Part(
        "order of the steps",
        (
            ("microservices/order_service/orchestration.py", ("TABLE", "END", "PUBLISHED_FIRST")),
            ("microservices/order_service/v4.py", ("first_events", "reserve", "PARTICIPANT")),
        ),
        ((WORKER, ()),),
    ),
    Part(
        "tables of the participants",
        (
            ("microservices/payment_service/orchestration.py", ("TABLE",)),
            ("microservices/payment_service/saga.py", ("REFUSED", "BARRED")),
            ("microservices/inventory_service/orchestration.py", ("TABLE",)),
            ("microservices/inventory_service/saga.py", ("SOLD_OUT", "BARRED")),
        ),
        (
            ("microservices/payment_service/saga.py", ("TABLE", "REFUSED", "BARRED")),
            ("microservices/inventory_service/saga.py", ("TABLE", "SOLD_OUT", "BARRED")),
        ),
    ),
)


def count() -> pd.DataFrame:
    """Return the lines of code of each part: without blank lines, comments and docstrings.

    Columns: `part`, `own` (order-service 4, and what the kit has for every service), `workflow` (a whole worker). The
    engine's own lines are not counted.
    """
    rows = [(part.name, _lines(part.own), _lines(part.workflow)) for part in PARTS]
    return pd.DataFrame(rows, columns=["part", "own", "workflow"])


def _lines(places: Iterable[Place]) -> int:
    return sum(len(code_lines((ROOT / file).read_text(), *names)) for file, names in places)


def code_lines(source: str, *names: str) -> set[int]:
    """Return the numbers of the lines that hold code, of the whole source or of these definitions.

    Raises:
        KeyError: The source has no such definition.
    """
    tree = ast.parse(source)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {n for token in tokens if token.type not in SILENT for n in _span(token)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))  # a docstring
    if not names:
        return code
    found = definitions(tree)
    nodes = [found[name] for name in names]
    return code & {
        n for node in nodes for n in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def _span(token: tokenize.TokenInfo) -> range:
    return range(token.start[0], token.end[0] + 1)
