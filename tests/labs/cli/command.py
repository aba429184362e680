"""Runs the command `lab` within a test, which has imported already what a new process would take seconds for."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from labs.cli.main import main


class Printed(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Lab = Callable[..., Printed]


def run_lab(capsys: pytest.CaptureFixture[str], *words: str) -> Printed:
    """Run `lab` with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lab", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    return Printed(code if isinstance(code, int) else 1, *capsys.readouterr())
