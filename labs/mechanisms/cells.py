"""Reads a cell of a notebook as Python, and what it holds for a function that a student writes in it."""

import ast
import inspect
import linecache
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from environment.replacing.originals import imported

MAGIC = re.compile(r"\s*%%replace[ \t]+(\S+)[ \t]+(\S+)[ \t]*(?:\n|$)")
CELL_MAGIC = re.compile(r"\s*%%.*(?:\n|$)")

KEPT = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.ClassDef)
"""The statements of a cell that belong to the function that it defines."""


def in_its_cell(function: Callable[..., Any], name: str) -> str | None:
    """Return what the cell of a notebook's function holds for it; `None` for one that no cell defines by this name."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or getattr(function, "__module__", None) != "__main__":
        return None
    return of_function(name, "".join(linecache.getlines(code.co_filename)))


def of_function(name: str, cell: str) -> str | None:
    """Return what a cell that defines a function holds for it; what it imports from the lab is in the lab's module."""
    text = plain(cell)
    body = tree_of(text).body
    if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in body):
        return None
    kept = [node for node in body if isinstance(node, KEPT) and not _is_of_the_notebook(node)]
    return "\n\n".join(ast.get_source_segment(text, node) or "" for node in kept)


def _is_of_the_notebook(node: ast.AST) -> bool:
    """Whether a statement imports the lab, or keeps what a magic returned."""
    if isinstance(node, ast.Assign):
        return ast.unparse(node.value).startswith("get_ipython()")
    return any(name.partition(".")[0] == "labs" for name in imported(node))


def plain(cell: str) -> str:
    """Return a cell as Python: IPython translates its magics and help lines, as it did when the cell ran."""
    if MAGIC.match(cell):
        return ""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        ast.parse(cell)
        return cell  # a line that begins with `%` may continue an expression
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        translate = TransformerManager()  # type: ignore[no-untyped-call]
        return translate.transform_cell(CELL_MAGIC.sub("", cell, count=1))
    return ""


def tree_of(text: str) -> ast.Module:
    """Return the tree of a text; an empty one if it is no Python."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.parse(text)
    return ast.Module([], [])
