"""Two students cannot hand in one run; honest runs are never taken for copies."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from labs.grading.copies import columns_of
from labs.grading.grader import grade_folder
from tests.labs.grading.bundles import (
    FRAMES,
    Files,
    hand_in,
    measured,
    pack,
    signed,
    with_record,
    with_samples,
    write_run,
)


def copy_flags(folder: Path) -> dict[str, str]:
    grades = grade_folder(folder, watch=lambda line: None)
    return {
        grade.file: "; ".join(flag.text for flag in grade.flags if flag.kind == "copy")
        for grade in grades
    }


def same(samples: pd.DataFrame) -> pd.DataFrame:
    return samples


def reordered(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.sample(frac=1, random_state=7)


def rounded(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.round({"latency": 7, "intended": 3, "lag": 5})


def with_a_column(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(note="my own")


def thinned(samples: pd.DataFrame) -> pd.DataFrame:
    return samples[samples.index % 3 > 0]


def an_hour_later(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(intended=samples["intended"] + 3600)


@pytest.mark.parametrize(
    "change", [same, reordered, rounded, with_a_column, thinned, an_hour_later]
)
def test_both_students_of_a_copy_are_flagged(
    honest: dict[str, Files], tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    pack(tmp_path / "ada.zip", honest["phase1"])
    copy = with_record(
        with_samples(honest["phase1"], "hop", change), lambda record: record.update(run="mine")
    )
    del copy["samples/rate_limit.csv"]
    pack(tmp_path / "bob.zip", signed(copy, student="bob"))
    flags = copy_flags(tmp_path)
    assert flags["ada.zip"] == "the samples of hop, as bob in bob.zip"
    assert flags["bob.zip"] == "the samples of hop, as ada in ada.zip"


def test_other_samples_of_the_same_run_are_flagged(
    honest: dict[str, Files], tmp_path: Path
) -> None:
    pack(tmp_path / "ada.zip", honest["phase1"])
    files = honest["phase1"]
    for name, (samples, _) in FRAMES["phase1"].items():
        files = with_samples(files, name, lambda _, samples=samples: measured(samples, 2))
    pack(tmp_path / "bob.zip", signed(files, student="bob"))
    assert "the run" in copy_flags(tmp_path)["ada.zip"]


def test_honest_runs_share_nothing(tmp_path: Path) -> None:
    for number, (phase, student) in enumerate(
        [(phase, student) for phase in FRAMES for student in ("ada", "bob", "eve")], start=1
    ):
        run = write_run(tmp_path / ".runs", phase, number)
        hand_in(run, student, tmp_path / f"{phase}-{student}.zip")
    flags = copy_flags(tmp_path)
    assert len(flags) == 3 * len(FRAMES)
    assert set(flags.values()) == {""}


def test_a_second_bundle_of_a_student_is_no_copy(honest: dict[str, Files], tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        pack(tmp_path / name, honest["phase0"])
    first, second = grade_folder(tmp_path, watch=lambda line: None)
    assert [flag.kind for flag in first.flags] == [flag.kind for flag in second.flags] == ["twice"]


def test_what_a_model_computes_is_the_same_for_every_student() -> None:
    samples = pd.DataFrame({"value": [0.1234567 * n**2 for n in range(50)]})
    assert columns_of(samples.assign(runtime="process"))
    assert not columns_of(samples.assign(runtime="none (a model)"))


def test_coarse_numbers_are_no_evidence() -> None:
    milliseconds = pd.DataFrame({"latency": [n / 1000 for n in range(50)], "runtime": "process"})
    assert not columns_of(milliseconds)
