"""A pytest plugin: the fast tier ends by naming the tests that it left out (`pytest -p tests.tiers`).

`scripts/test.py` loads it. With xdist the workers deselect the tests, so each worker sends what it left out with its
last message. All workers collect the same tests, so what they send is merged, not added.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

_MESSAGE = "left_out"
_left_out = pytest.StashKey[set[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_left_out] = set()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        item.config.stash[_left_out].add(item.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker, send what it left out to the controller."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_MESSAGE] = sorted(session.config.stash[_left_out])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the controller, receive it; a worker that crashed sent nothing."""
    sent = getattr(node, "workeroutput", {}).get(_MESSAGE, [])
    node.config.stash[_left_out].update(sent)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out; pytest's own closing line comes after it."""
    names = config.stash[_left_out]
    if names and "not long" in config.getoption("markexpr"):  # other choices are the reader's own
        terminalreporter.section("left out")
        terminalreporter.write_line(summary(names))


def summary(names: set[str]) -> str:
    """Return the sentence that names the tests by folder, and the command that runs them."""
    folders = Counter(_folder(name) for name in names)
    counted = ", ".join(f"{folder} {count}" for folder, count in sorted(folders.items()))
    tests = "1 test" if len(names) == 1 else f"{len(names)} tests"
    return (
        f"This tier left out {tests}: {counted}.\nThey are long measurements, whole labs and the other runtime; "
        "`python3 scripts/test.py --all` runs them."
    )


def _folder(name: str) -> str:
    """Return the folder of a test below `tests/`, for example `notebooks`."""
    parts = name.partition("::")[0].split("/")
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]
