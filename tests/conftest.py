"""What all tests share: tiers, their order (tests/order.py), and a state folder.

The fast tier leaves out what is marked `long`: Docker's tests, whole labs but one, mutants but one of each phase, and
what takes more than ten seconds (`slow`).
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from environment.errors import LabError
from environment.folders import live_sessions
from environment.waiting import wait_until
from tests.order import InOrder, rank


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    config.option.loadscopereorder = False  # else the largest piece would come first
    return InOrder(config, log)


def pytest_configure(config: pytest.Config) -> None:
    # A short path: the sockets of sessions lie in it. The tests' sessions never meet a student's.
    os.environ.pop("DATABASE_URL", None)  # a test sets its own
    os.environ["LAB_STATE"] = tempfile.mkdtemp(prefix="lab-tests-", dir="/tmp")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(os.environ["LAB_STATE"], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is long, order the tests by `rank`, and skip Docker's tests where no engine answers.

    With `LAB_REQUIRE_DOCKER` set the Docker tests run all the same, and fail.
    """
    for item in items:
        if is_long(item):
            item.add_marker(pytest.mark.long)
    items.sort(key=rank)
    wanted = [item for item in items if item.get_closest_marker("docker")]
    if not wanted or os.environ.get("LAB_REQUIRE_DOCKER"):
        return
    from environment.images.engine import connect

    try:
        connect().close()
    except LabError as error:
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason=str(error).splitlines()[0]))


def is_long(item: pytest.Item) -> bool:
    """Return whether only `scripts/test.py --all` runs a test. A test marked `core` is never left out."""
    if item.get_closest_marker("core"):
        return False
    marks = any(item.get_closest_marker(name) for name in ("docker", "slow"))
    return marks or "tests/mutants/test_" in item.nodeid


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True, scope="session")
def _nothing_stays() -> Iterator[None]:
    yield
    assert live_sessions() == []
    assert [path.name for path in Path(os.environ["LAB_STATE"]).iterdir()] == []


@pytest.fixture(autouse=True, scope="module")
def _no_kafka_client_stays() -> Iterator[None]:
    """A client that stays open would connect to whatever a later test puts at its broker's address."""
    yield
    gc.collect()
    assert wait_until(lambda: kafka_clients() == 0, timeout=15)  # one may be closing still


def kafka_clients() -> int:
    """Return how many Kafka clients this process has open, by their main threads; 0 where there is no /proc."""
    count = 0
    for name in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # this thread ended just now
            count += name.read_text().startswith("rdk:main")
    return count
