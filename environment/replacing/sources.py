"""The source of a student's function or class: from a cell, a text or a file."""

import ast
import inspect
import linecache
import textwrap
from pathlib import Path
from types import FunctionType

from environment.errors import LabError

WHOLE = 'Give its source as a text (`"""..."""`) or as a `Path`.'


def source_of(given: object) -> str:
    """Return the source of a function, of a class, of a text that is a source, or of a file (`Path`).

    Raises:
        LabError: there is none: it is something else, or was not written in a cell or a file.
    """
    if isinstance(given, str):
        return textwrap.dedent(given).strip("\n") + "\n"
    if isinstance(given, Path):
        try:
            return given.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LabError(f"{given} cannot be read: {error}.") from None
    if isinstance(given, type):
        return _source_of_class(given)
    function = inspect.unwrap(given) if callable(given) else given
    if not isinstance(function, FunctionType) or function.__name__ == "<lambda>":
        raise LabError(
            f"Expected a function that begins with `def`, a class, a text or a `Path`; found {given!r}."
        )
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise LabError(f"The source of `{function.__name__}` is not to be found. {WHOLE}") from None


def _source_of_class(given: type) -> str:
    """Return a class's source by one of its methods: Python itself looks for a file, and a cell is none."""
    methods = [inspect.unwrap(value) for value in vars(given).values() if callable(value)]
    for method in methods:
        if not isinstance(method, FunctionType):
            continue
        lines = linecache.getlines(method.__code__.co_filename)
        first = method.__code__.co_firstlineno
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == given.__name__:
                begin = min([node.lineno, *(part.lineno for part in node.decorator_list)])
                if begin <= first <= (node.end_lineno or 0):
                    return textwrap.dedent("".join(lines[begin - 1 : node.end_lineno]))
    raise LabError(f"The source of the class `{given.__name__}` is not to be found. {WHOLE}")
