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
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from IPython.core.getipython import get_ipython

from environment.errors import UnknownName
from environment.replacing.originals import stub

if TYPE_CHECKING:
    from environment import Environment
    from labs.verdicts import Verdict


@dataclass(frozen=True)
class Mechanism:
    """A function or a small class of a service that a student writes.

    `target` is what `env[service].replaced` takes. `task` states the contract in one to three sentences. `lines` is the
    size of the reference answer. `judge` measures the running system with an experiment of the lab and returns the
    verdict; its source is shown to the student.
    """

    title: str
    service: str
    target: str
    task: str
    lines: int
    judge: Callable[[Environment], Verdict]

    @property
    def stub(self) -> str:
        """The original with dots in place of its code."""
        return stub(self.service, self.target)

    @property
    def cell(self) -> str:
        """The cell that a student copies and fills in."""
        return f"%%replace {self.service} {self.target}\n{self.stub}"


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


def judge(mechanism: str, env: Environment) -> Verdict:
    """Measure and judge the running system with the experiment of a mechanism such as `p1-m`.

    Raises:
        UnknownName: There is no such mechanism; the message lists those there are.
    """
    known = every_mechanism()
    if mechanism not in known:
        raise UnknownName(f"There is no mechanism {mechanism!r}; there are: {', '.join(known)}.")
    return known[mechanism].judge(env)


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


def _described(id: str, mechanism: Mechanism) -> str:
    return "\n".join(
        [
            f"**{mechanism.title}** (`{id}`)",
            "",
            f"{mechanism.task} The reference answer has {mechanism.lines} lines.",
            "",
            f"Copy this into a cell of your own, and fill it in. {mechanism.service} then starts anew with your code:",
            "",
            "```python",
            mechanism.cell.rstrip(),
            "```",
            "",
            f'Judge it with `mechanisms.judge("{id}", env)`, then bring the original back with `%heal`. This runs:',
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
