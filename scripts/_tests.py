"""The tiers of tests: what `scripts/test.py` does."""

import os

from _venv import ROOT, own_variables, ready_python

# tests/order.py decides which tests run beside which. With containers a third worker is too many for two cores: lab 5,
# which starts a second system there, took longer than the limit of a cell.
EVERYTHING = ["-n", "2", "--dist", "loadfile"]
FAST = ["-n", "3", "--dist", "loadfile", "-m", "not long", "-p", "tests.tiers"]


def pytest_arguments(arguments: list[str]) -> list[str]:
    """Return pytest's arguments for those of this command."""
    if not arguments:
        return FAST
    if "--all" in arguments:
        return EVERYTHING + [argument for argument in arguments if argument != "--all"]
    return arguments


def main(given: list[str]) -> None:
    """Become pytest of the environment, in the folder of this project."""
    python, arguments = ready_python(given, tools=True)
    os.chdir(ROOT)  # from where `tests` is imported
    command = [str(python), "-m", "pytest", *pytest_arguments(arguments)]
    os.execve(python, command, own_variables())
