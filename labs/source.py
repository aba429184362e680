"""Shows the real code of a service in a cell: what a phase teaches is opened from its own file."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

from IPython.display import Code

from environment.errors import UnknownName

SERVICES = Path(__file__).resolve().parent.parent / "microservices"

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def show(file: str, *names: str) -> Code:
    """The named functions and classes of a service's file, such as `order_service/payment.py`.

    A method is named with its class: `Breaker.call`. With their decorators and comments, as they
    stand there. Raises `UnknownName` with the names the file has.
    """
    path = SERVICES / file
    text = path.read_text()
    found = _definitions(ast.parse(text))
    unknown = [name for name in names if name not in found]
    if unknown:
        raise UnknownName(f"{file} has no {', '.join(unknown)}; it has: {', '.join(found)}")
    lines = text.splitlines()
    parts = [
        textwrap.dedent("\n".join(lines[_first(found[name]) - 1 : found[name].end_lineno]))
        for name in names
    ]
    text = f"# microservices/{file}\n\n" + "\n\n\n".join(parts)
    return Code(text, language="python")  # type: ignore[no-untyped-call]


def _definitions(within: ast.Module | ast.ClassDef, prefix: str = "") -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    for node in within.body:
        if isinstance(node, Definition):
            found[prefix + node.name] = node
        if isinstance(node, ast.ClassDef):
            found |= _definitions(node, f"{node.name}.")
    return found


def _first(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
