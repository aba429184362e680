"""Shows code in a cell, from the file that runs: of a service, or of an experiment."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.display import Code

from environment.errors import UnknownName

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ROOT / "microservices"

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Shown = Definition | ast.Assign | ast.AnnAssign


def show(file: str, *names: str, only: str = "") -> Code:
    """Return functions, classes and constants of a file, with their decorators and comments.

    Args:
        file: The file in `microservices/`, such as `order_service/payment.py`, or one that begins with `labs/`.
        names: What to show; a method is named with its class, such as `Breaker.call`.
        only: Of each function, show its signature and the lines with this text, and dots for the rest.

    Raises:
        UnknownName: The file has no such name; the message lists those it has.
    """
    path = (ROOT if file.startswith("labs/") else SERVICES) / file
    text = path.read_text()
    found = definitions(ast.parse(text))
    unknown = [name for name in names if name not in found]
    if unknown:
        raise UnknownName(f"{file} has no {', '.join(unknown)}; it has: {', '.join(found)}")
    lines = text.splitlines()
    parts = [
        textwrap.dedent("\n".join(_lines(lines, node, only)))
        for node in (found[name] for name in names)
    ]
    text = f"# {path.relative_to(ROOT).as_posix()}\n\n" + "\n\n\n".join(parts)
    return Code(text, language="python")  # type: ignore[no-untyped-call]


def show_function(function: Callable[..., Any]) -> Code:
    """Return a function of the labs as it is written, such as an experiment's `measure`."""
    text = f"# {function.__module__}\n\n{inspect.getsource(function)}"
    return Code(text, language="python")  # type: ignore[no-untyped-call]


def definitions(within: ast.Module | ast.ClassDef, prefix: str = "") -> dict[str, Shown]:
    """Return the functions, classes and constants of a module by their names; a method's has its class before it."""
    found: dict[str, Shown] = {}
    for node in within.body:
        if isinstance(node, Definition):
            found[prefix + node.name] = node
        if isinstance(node, ast.ClassDef):
            found |= definitions(node, f"{node.name}.")
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(within, ast.Module):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id: node for name in targets if isinstance(name, ast.Name)}
    return found


def _lines(lines: list[str], node: Shown, only: str) -> list[str]:
    """Return the lines of a definition; with `only`, its signature and each line with that text, once."""
    first, last = _first(node) - 1, node.end_lineno
    if not only or not isinstance(node, Definition):
        return lines[first:last]
    body = node.body[0].lineno - 1
    found = {line.strip(): line for line in lines[body:last] if only in line}
    indent = " " * node.body[0].col_offset
    dots = f"{indent}..."
    return [*lines[first:body], dots, *(indent + text for text in found), dots]


def _first(node: Shown) -> int:
    decorators = node.decorator_list if isinstance(node, Definition) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])
