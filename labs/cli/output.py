"""The output of the command `lab`, which may lead to a full disk or to a program that reads no more."""

import io
import os
import sys
from contextlib import suppress


class CannotWrite(Exception):
    """The standard output cannot be written; not an `OSError`, so that no handler takes it for another failure."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(f"The output cannot be written: {reason.strerror}.")
        self.closed = isinstance(reason, BrokenPipeError)
        """Whether the reader has ended, as `head` does: that is no error to report."""


class Output(io.TextIOWrapper):
    """Standard output whose failures are `CannotWrite`."""

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return super().write(text)
        except OSError as reason:
            raise CannotWrite(reason) from None

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            super().flush()
        except OSError as reason:
            raise CannotWrite(reason) from None


class Messages(io.TextIOWrapper):
    """Standard error, whose failures are no reason to end a command: its messages are lost."""

    def write(self, text: str) -> int:
        """Write a text, if it can be written."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if it can be written."""
        with suppress(OSError):
            super().flush()


def guard() -> None:
    """Take over standard output and standard error of this process."""
    for kind, name, number in ((Output, "stdout", 1), (Messages, "stderr", 2)):
        given = getattr(sys, name)
        buffer = open(number, "wb", closefd=False)  # noqa: SIM115 - it has a number, and stays open
        encoding = given.encoding if given else "utf-8"
        stream = kind(buffer, encoding=encoding, errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)


def give_up() -> None:
    """Lead what is still buffered to nowhere, so that the interpreter can end without another failure."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
