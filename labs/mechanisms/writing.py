"""What a mechanism to write is, and how a notebook shows it.

Each module `phaseN.py` of this package holds those of one lab in `MECHANISMS`. The reference answers, their wrong twins
and the checks of a hand-in are not here: they lie in `tests/mutants/replaced/ID/`, which a handout leaves out.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython

from environment.compose import ROOT
from environment.errors import LabError, UnknownName
from environment.replacing.checks import checked_for
from environment.replacing.originals import Original, definitions, find_original, stub_of
from labs.mechanisms.cells import in_its_cell

if TYPE_CHECKING:
    from environment import Environment
    from environment.replacing import Replacement
    from labs.verdicts import Verdict


@dataclass(frozen=True)
class Mechanism:
    """A function or a small class that a student writes: of a service, or one that an experiment takes as an argument.

    `target` is what `env[service].replaced` takes. Without a service it is the full name of a function of the lab, such
    as `labs.experiments.phase3.autoscaler.choose`, and `judge` takes the student's function after the environment.
    `task` states the contract in one to three sentences. `lines` is the size of the reference answer. `judge` measures
    the running system with an experiment of the lab and returns the verdict; its source is shown to the student.
    """

    title: str
    service: str | None
    target: str
    task: str
    lines: int
    judge: Callable[..., Verdict]

    @property
    def name(self) -> str:
        """The name of the function or class."""
        return self.target.rpartition(".")[2]

    @property
    def original(self) -> Original:
        """The definition that the student's stands for."""
        if self.service is not None:
            return find_original(self.service, self.target)
        return _function_of_the_lab(self.target)

    @property
    def stub(self) -> str:
        """The original with dots in place of its code."""
        return stub_of(self.original.node)

    @property
    def cell(self) -> str:
        """The cell that a student copies and fills in."""
        if self.service is not None:
            return f"%%replace {self.service} {self.target}\n{self.stub}"
        constants = sorted(name for name in self.original.names() if name.isupper())
        return f"from {self.original.module} import {', '.join(constants)}\n\n\n{self.stub}"

    def checked(self, source: str) -> Replacement:
        """Return a student's source as the replacement of the original. Raises `LabError` if it cannot be one."""
        return checked_for(self.original, source)


class Task:
    """The mechanisms of a lab as a notebook shows them."""

    def __init__(self, mechanisms: Mapping[str, Mechanism]) -> None:
        self._mechanisms = mechanisms

    def __repr__(self) -> str:
        return "\n\n".join(_described(id, one) for id, one in self._mechanisms.items())

    def _repr_markdown_(self) -> str:
        return repr(self)


def of(phase: str) -> Task:
    """Return what a student writes in a phase such as `phase1`, and load the magics `%%replace` and `%heal`.

    Raises:
        UnknownName: The phase has no mechanism.
    """
    begin = f"p{phase.removeprefix('phase')}-"
    found = {id: one for id, one in every_mechanism().items() if id.startswith(begin)}
    if not found:
        raise UnknownName(
            f"There is no mechanism to write in {phase!r}; there are: {', '.join(every_mechanism())}."
        )
    if (shell := get_ipython()) and shell.extension_manager:
        shell.extension_manager.load_extension("labs.replacing")
    return Task(found)


def judge(mechanism: str, env: Environment, *function: Callable[..., Any]) -> Verdict:
    """Measure and judge the running system with the experiment of a mechanism such as `p1-m`.

    Args:
        mechanism: Its id.
        env: The running system.
        function: Yours, for a mechanism that is no part of a service.

    Raises:
        UnknownName: There is no such mechanism; the message lists those there are.
        LabError: It needs a function and none was given, or it needs none and one was given. Or the cell
            of the function holds what `lab grade` would not read.
    """
    known = every_mechanism()
    if mechanism not in known:
        raise UnknownName(f"There is no mechanism {mechanism!r}; there are: {', '.join(known)}.")
    one = known[mechanism]
    if len(function) != (one.service is None) or not all(map(callable, function)):
        raise LabError(f"Write `{_call(mechanism, one)}`.")
    for each in function:  # what a hand-in could not be is refused before it is measured
        if source := in_its_cell(each, one.name):
            one.checked(source)
    return one.judge(env, *function)


@cache
def every_mechanism() -> Mapping[str, Mechanism]:
    """Return every mechanism by its id, in the order of the labs: `p2-m`, and `p2-m2` for a second one."""
    package = __name__.rpartition(".")[0]
    folder = import_module(package).__path__
    names = sorted(found.name for found in iter_modules(folder) if found.name.startswith("phase"))
    return {
        f"p{name.removeprefix('phase')}-m{number if number > 1 else ''}": mechanism
        for name in names
        for number, mechanism in enumerate(import_module(f"{package}.{name}").MECHANISMS, 1)
    }


def _function_of_the_lab(target: str) -> Original:
    """Return a function of the lab by its full name, without annotations: no cell has the names in them."""
    module, _, name = target.rpartition(".")
    file = Path(*module.split(".")).with_suffix(".py")
    text = (ROOT / file).read_text(encoding="utf-8")
    node = definitions(ast.parse(text))[name]
    assert isinstance(node, ast.FunctionDef)
    node.returns = None
    for argument in node.args.args:
        argument.annotation = None
    return Original(target, "", file, name, text, node)


def _call(id: str, mechanism: Mechanism) -> str:
    function = f", {mechanism.name}" if mechanism.service is None else ""
    return f'mechanisms.judge("{id}", env{function})'


def _described(id: str, mechanism: Mechanism) -> str:
    restart, heal = "", ""
    if mechanism.service is not None:
        restart = f". {mechanism.service} then starts anew with your code"
        heal = ", then bring the original back with `%heal`"
    return "\n".join(
        [
            f"**{mechanism.title}** (`{id}`)",
            "",
            f"{mechanism.task} The reference answer has {mechanism.lines} lines.",
            "",
            f"Copy this into a cell of your own, and fill it in{restart}:",
            "",
            "```python",
            mechanism.cell.rstrip(),
            "```",
            "",
            f"Judge it with `{_call(id, mechanism)}`{heal}. This runs:",
            "",
            "```python",
            _body(mechanism.judge),
            "```",
        ]
    )


def _body(function: Callable[..., object]) -> str:
    """Return the code of a function without its signature and docstring."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    node = ast.parse("\n".join(lines)).body[0]
    assert isinstance(node, ast.FunctionDef)
    first = node.body[1 if ast.get_docstring(node) is not None else 0]
    return textwrap.dedent("\n".join(lines[first.lineno - 1 :]))
