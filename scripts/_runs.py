"""The labs, headless: what `scripts/run.py` does."""

import os

from _venv import own_variables, ready_python


def main(given: list[str]) -> None:
    """Become the command `lab run` of the environment."""
    python, arguments = ready_python(given)
    # -P: without it, a `labs` or a `random.py` in the folder where this command is started would be imported as ours.
    command = [str(python), "-P", "-m", "labs.cli", "run", *arguments]
    os.execve(python, command, own_variables())
