"""The labs as notebooks: which there are, which verdicts each expects, which parameters it takes."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from environment.errors import UnknownName

FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Lab:
    """One notebook.

    `phase` is the first part of its file's name. `experiments` are those that its verdict cells keep, in their order,
    and so the verdicts that a complete run must give. `parameters` maps each name of the cell tagged `parameters` to
    its default, None where that is computed.
    """

    phase: str
    path: Path
    title: str
    experiments: tuple[str, ...]
    parameters: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Lab:
        """Return the lab of a notebook file."""
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        titles = [cell.source for cell in notebook.cells if cell.source.startswith("# ")]
        tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        return cls(
            phase=path.stem.partition("_")[0],
            path=path,
            title=titles[0].splitlines()[0].removeprefix("# ") if titles else path.stem,
            experiments=tuple(_kept(notebook.cells)),
            parameters=_assignments(tagged[0].source) if tagged else {},
        )


def _kept(cells: Sequence[Any]) -> list[str]:
    """Return the experiments of the cells that call `run.keep(hop, ...)`."""
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    return [name for source in code for name in re.findall(r"\brun\.keep\(\s*(\w+)", source)]


def _assignments(source: str) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            defaults |= {name.id: value for name in node.targets if isinstance(name, ast.Name)}
    return defaults


def all_labs(folder: Path = FOLDER) -> dict[str, Lab]:
    """Return every lab of a folder by its phase, in order."""
    labs = [Lab.read(path) for path in sorted(folder.glob("phase*.ipynb"))]
    return {lab.phase: lab for lab in labs}


def choose(phases: Sequence[str], folder: Path = FOLDER) -> list[Lab]:
    """Return the labs of these phases, all when none is named.

    Raises:
        UnknownName: A phase has no lab; the message names those that have one.
    """
    labs = all_labs(folder)
    unknown = [phase for phase in phases if phase not in labs]
    if unknown:
        raise UnknownName(f"no lab {', '.join(unknown)!r}; there are: {', '.join(labs) or 'none'}")
    return [labs[phase] for phase in phases] or list(labs.values())


def read_parameters(texts: Mapping[str, str], labs: Sequence[Lab]) -> dict[str, Any]:
    """Return the values of parameters that are given as texts: Python literals, else the text itself.

    Raises:
        UnknownName: None of the labs has a parameter of that name, or its default is a number and the value is not.
    """
    known: dict[str, Any] = {}
    for lab in labs:
        known |= lab.parameters
    values = {name: _literal(text) for name, text in texts.items()}
    for name, value in values.items():
        if name not in known:
            raise UnknownName(f"no parameter {name!r}; there are: {', '.join(sorted(known))}")
        if isinstance(known[name], int | float) and not isinstance(value, int | float):
            raise UnknownName(f"parameter {name} is a number, such as {known[name]}; not {value!r}")
    return values


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
