"""Shows the real code of a service in a cell: what a phase teaches is opened from its own file."""

from __future__ import annotations

import ast
from pathlib import Path

from IPython.display import Code

from environment.errors import UnknownName

SERVICES = Path(__file__).resolve().parent.parent / "microservices"


def show(file: str, *names: str) -> Code:
    """The named functions and classes of a service's file, such as `order_service/payment.py`.

    With their decorators and comments, as they stand there. Raises `UnknownName` with the names
    the file has.
    """
    path = SERVICES / file
    text = path.read_text()
    found = {
        node.name: node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    unknown = [name for name in names if name not in found]
    if unknown:
        raise UnknownName(f"{file} has no {', '.join(unknown)}; it has: {', '.join(found)}")
    lines = text.splitlines()
    parts = ["\n".join(lines[_first(found[name]) - 1 : found[name].end_lineno]) for name in names]
    text = f"# microservices/{file}\n\n" + "\n\n\n".join(parts)
    return Code(text, language="python")  # type: ignore[no-untyped-call]


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
