"""What all tests share: sessions in a state folder of their own, and Docker tests that run where an engine answers.

With two workers (`-n 2 --dist loadfile`) one has all tests that drive Docker, watch the whole machine or measure; the
other has the rest, which it has done long before the first one comes to what measures.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from environment.errors import LabError
from environment.folders import live_sessions

ONE_AFTER_THE_OTHER = ("tests/environment/", "tests/mutants/", "tests/notebooks/")
"""Tests of one worker, in this order."""


class TwoWorkers(LoadFileScheduling):
    """One piece of work is a file, except that all of `ONE_AFTER_THE_OTHER` is one."""

    def _split_scope(self, nodeid: str) -> str:
        return "system" if nodeid.startswith(ONE_AFTER_THE_OTHER) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return TwoWorkers(config, log)


def pytest_configure(config: pytest.Config) -> None:
    # A short path: the sockets of sessions lie in it. The tests' sessions never meet a student's.
    os.environ["LAB_STATE"] = tempfile.mkdtemp(prefix="lab-tests-", dir="/tmp")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(os.environ["LAB_STATE"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without an engine the Docker tests are skipped; with `LAB_REQUIRE_DOCKER` set they run, and fail."""
    wanted = [item for item in items if item.get_closest_marker("docker")]
    if not wanted or os.environ.get("LAB_REQUIRE_DOCKER"):
        return
    from environment.images.engine import connect

    try:
        connect().close()
    except LabError as error:
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason=str(error).splitlines()[0]))


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True, scope="session")
def _nothing_stays() -> Iterator[None]:
    yield
    assert live_sessions() == []
    assert [path.name for path in Path(os.environ["LAB_STATE"]).iterdir()] == []
