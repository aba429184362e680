"""What all tests share: sessions in a state folder of their own, and Docker tests that run where an engine answers."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from environment.errors import LabError
from environment.folders import live_sessions


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
