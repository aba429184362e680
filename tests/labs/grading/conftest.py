"""One honest bundle of each phase, made once."""

from pathlib import Path

import pytest

from tests.labs.grading.bundles import FRAMES, Files, hand_in, unpack, write_run


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {
        phase: hand_in(write_run(folder / "runs", phase, 1), "ada", folder / f"{phase}.zip")
        for phase in FRAMES
    }


@pytest.fixture(scope="session")
def honest(bundles: dict[str, Path]) -> dict[str, Files]:
    return {phase: unpack(path) for phase, path in bundles.items()}
