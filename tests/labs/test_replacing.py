"""The magics `%%replace` and `%heal`, in a shell of IPython and with an environment that records what it is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from environment import Environment
from environment.errors import LabError, UnknownName

TARGET = "breaker.Breaker.is_failure"
MINE = "def is_failure(self, status):\n    return True\n"


class Recording(Environment):
    """An environment whose services note each replacement, and its end."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    running = True

    def __getitem__(self, service: str) -> Any:
        return self

    @contextmanager
    def replaced(self, target: str, source: str) -> Iterator[None]:
        if "refused" in source:
            raise LabError("refused")
        self.notes.append(source)
        try:
            yield
        finally:
            self.notes.append("ended")


@pytest.fixture
def shell() -> InteractiveShell:
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "labs.replacing")
    return shell


def run(shell: InteractiveShell, line: str, cell: str) -> None:
    shell.run_cell_magic("replace", line, cell)


def test_a_cell_shows_the_original_and_stands_until_it_is_healed(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    env = shell.user_ns["env"] = Recording()
    run(shell, f"api-gateway {TARGET}", MINE)
    assert "def is_failure(self, status: int) -> bool:" in capsys.readouterr().out
    assert env.notes == [MINE]
    run(shell, f"api-gateway {TARGET}", MINE.replace("True", "False"))
    assert env.notes == [MINE, "ended", MINE.replace("True", "False")]
    shell.run_line_magic("heal", "")
    shell.run_line_magic("heal", "api-gateway")
    assert env.notes[2:] == [MINE.replace("True", "False"), "ended"]


def test_an_empty_cell_only_shows_the_original(shell: InteractiveShell) -> None:
    env = shell.user_ns["env"] = Recording()
    run(shell, f"api-gateway {TARGET}", "\n")
    assert env.notes == []


def test_what_the_magic_cannot_do_is_explained(shell: InteractiveShell) -> None:
    with pytest.raises(LabError, match="Write `%%replace SERVICE TARGET`"):
        run(shell, "api-gateway", MINE)
    with pytest.raises(UnknownName, match="Near names are"):
        run(shell, "api-gateway breaker.Braker.is_failure", MINE)
    with pytest.raises(LabError, match="Start one first"):
        run(shell, f"api-gateway {TARGET}", MINE)
    shell.user_ns["env"] = Recording()
    with pytest.raises(LabError, match="refused"):
        run(shell, f"api-gateway {TARGET}", "# refused")
    shell.run_line_magic("heal", "")
