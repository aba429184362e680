"""Shows the code of a service in a cell, from the file that runs."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

from IPython.display import Code

from environment.errors import UnknownName

SERVICES = Path(__file__).resolve().parent.parent / "microservices"

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Shown = Definition | ast.Assign | ast.AnnAssign


def show(file: str, *names: str) -> Code:
    """Return functions, classes and constants of a service's file, with their decorators and comments.

    Args:
        file: The file in `microservices/`, such as `order_service/payment.py`.
        names: What to show; a method is named with its class, such as `Breaker.call`.

    Raises:
        UnknownName: The file has no such name; the message lists those it has.
    """
    path = SERVICES / file
    text = path.read_text()
    definitions = _definitions(ast.parse(text))
    unknown = [name for name in names if name not in definitions]
    if unknown:
        raise UnknownName(f"{file} has no {', '.join(unknown)}; it has: {', '.join(definitions)}")
    lines = text.splitlines()
    parts = [
        textwrap.dedent("\n".join(lines[_first(node) - 1 : node.end_lineno]))
        for node in (definitions[name] for name in names)
    ]
    text = f"# microservices/{file}\n\n" + "\n\n\n".join(parts)
    return Code(text, language="python")  # type: ignore[no-untyped-call]


def _definitions(within: ast.Module | ast.ClassDef, prefix: str = "") -> dict[str, Shown]:
    definitions: dict[str, Shown] = {}
    for node in within.body:
        if isinstance(node, Definition):
            definitions[prefix + node.name] = node
        if isinstance(node, ast.ClassDef):
            definitions |= _definitions(node, f"{node.name}.")
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(within, ast.Module):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            definitions |= {name.id: node for name in targets if isinstance(name, ast.Name)}
    return definitions


def _first(node: Shown) -> int:
    decorators = node.decorator_list if isinstance(node, Definition) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])
