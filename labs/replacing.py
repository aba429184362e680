"""Two magics for cells: `%%replace SERVICE TARGET` runs the service with the cell's code, `%heal` restores it.

`%load_ext labs.replacing` loads them. The block `with env[SERVICE].replaced(TARGET, function):` does the same for the
lines inside it, and heals by itself.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.display import Code, display

from environment import Environment
from environment.errors import LabError
from environment.replacing.originals import stub

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

USAGE = (
    "Write `%%replace SERVICE TARGET`, such as `%%replace api-gateway breaker.Breaker.is_failure`."
)


@magics_class
class Replacing(Magics):
    """The magics, and the replacement that stands because of a cell: one at a time for each service."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._standing: dict[str, ExitStack] = {}

    @cell_magic
    def replace(self, line: str, cell: str) -> None:
        """Show the original's signature and docstring, and run the service with this cell's code until `%heal`."""
        match line.split():
            case [service, target]:
                pass
            case _:
                raise LabError(USAGE)
        original = stub(service, target)
        display(Code(f"# the original of {target}\n\n{original}", language="python"))  # type: ignore[no-untyped-call]
        if not cell.strip():
            return
        self._end(service)
        with ExitStack() as stack:
            stack.enter_context(self._environment()[service].replaced(target, cell))
            self._standing[service] = stack.pop_all()

    @line_magic
    def heal(self, line: str = "") -> None:
        """End the replacement of a service, or of every one, that a cell began."""
        for service in line.split() or list(self._standing):
            self._end(service)

    def _end(self, service: str) -> None:
        if stack := self._standing.pop(service, None):
            stack.close()

    def _environment(self) -> Environment:
        """Return the running environment of this notebook: `env`, or the only one. Raises `LabError`."""
        assert self.shell
        names: dict[str, Any] = self.shell.user_ns
        found = {id(e): e for e in names.values() if isinstance(e, Environment) and e.running}
        if (env := names.get("env")) is not None and id(env) in found:
            return found[id(env)]
        if len(found) == 1:
            return found.popitem()[1]
        raise LabError(
            "Several environments run: call yours `env`."
            if found
            else "No environment runs here. Start one first: `env.start()`."
        )


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the magics (`%load_ext labs.replacing`)."""
    shell.register_magics(Replacing)
