"""The grader is graded: honest bundles pass without a flag, and each kind of cheating is caught by its own check."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase1.hop import GATEWAY
from labs.grading.evaluation import Grade, evaluate
from tests.labs.grading.bundles import (
    FRAMES,
    Files,
    judged_again,
    pack,
    signed,
    with_record,
    with_samples,
)

Honest = dict[str, Files]


def graded(folder: Path, files: Files, **more: Any) -> Grade:
    return evaluate(pack(folder / "it.zip", files), "it.zip", **more)


def texts(grade: Grade, kind: str) -> str:
    return "; ".join(flag.text for flag in grade.flags if flag.kind == kind)


@pytest.mark.parametrize("phase", FRAMES)
def test_an_honest_bundle_passes_without_a_flag(
    phase: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    grade = evaluate(bundles[phase], "it.zip", {"ada": 7})
    assert grade.flags == []
    assert (grade.student, grade.phase, grade.run_seconds) == ("ada", phase, 30.0)
    given = {name: verdict for name, verdict in grade.verdicts.items() if verdict != "missing"}
    assert given == dict.fromkeys(FRAMES[phase], "pass")
    assert grade.passed == len(FRAMES[phase]) < len(grade.verdicts)


def faster(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(latency=samples["latency"] * 0.99)


def slow_gateway(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(latency=samples["latency"] + 0.05 * (samples["stream"] == GATEWAY))


def test_edited_samples_differ_from_the_manifest(honest: Honest, tmp_path: Path) -> None:
    grade = graded(tmp_path, with_samples(honest["phase1"], "hop", faster))
    assert "samples/hop.csv" in texts(grade, "edited")


def test_edited_samples_with_a_new_manifest_differ_from_the_verdicts_numbers(
    honest: Honest, tmp_path: Path
) -> None:
    grade = graded(tmp_path, signed(with_samples(honest["phase1"], "hop", faster)))
    assert texts(grade, "edited") == ""
    assert "hop" in texts(grade, "numbers")


def test_the_verdict_comes_from_the_samples(honest: Honest, tmp_path: Path) -> None:
    grade = graded(tmp_path, signed(with_samples(honest["phase1"], "hop", slow_gateway)))
    assert grade.verdicts["hop"] == "fail"
    assert "hop was handed in as pass" in texts(grade, "verdict")


def test_an_edited_verdict_is_flagged(honest: Honest, tmp_path: Path) -> None:
    slow = judged_again(with_samples(honest["phase1"], "hop", slow_gateway), "hop")
    assert graded(tmp_path, slow).flags == []

    def passed(record: dict[str, Any]) -> None:
        record["experiments"]["hop"]["verdict"] |= {"outcome": "pass", "reasons": []}

    grade = graded(tmp_path, signed(with_record(slow, passed)))
    assert grade.verdicts["hop"] == "fail"
    assert "hop was handed in as pass" in texts(grade, "verdict")


def test_a_prediction_that_was_fitted_to_the_samples_is_replaced(
    honest: Honest, tmp_path: Path
) -> None:
    def twice(samples: pd.DataFrame) -> pd.DataFrame:
        return samples.assign(charges=samples["delivered"])

    files = with_samples(honest["phase4"], "duplicates", twice)
    files = with_samples(
        files, "duplicates", lambda each: each.assign(charges=each["deliveries"]), "predictions"
    )
    grade = graded(tmp_path, judged_again(files, "duplicates"))
    assert "duplicates" in texts(grade, "prediction")
    assert grade.verdicts["duplicates"] == "fail"


def test_a_prediction_without_its_inputs_is_flagged(honest: Honest, tmp_path: Path) -> None:
    files = with_samples(honest["phase1"], "hop", lambda each: each.iloc[:1], "predictions")
    assert "hop" in texts(graded(tmp_path, signed(files)), "prediction")


def test_another_version_of_the_course_is_named(honest: Honest, tmp_path: Path) -> None:
    files = honest["phase0"]
    course = json.loads(files["manifest.json"])["course"]
    course["modules"]["labs/experiments/phase0/versions.py"] = "0" * 64
    grade = graded(tmp_path, signed(files, course=course))
    assert "labs/experiments/phase0/versions.py" in texts(grade, "course")
    assert [flag.kind for flag in grade.flags] == ["course"]


def test_a_module_that_this_course_lacks_is_named(honest: Honest, tmp_path: Path) -> None:
    course = json.loads(honest["phase0"]["manifest.json"])["course"]
    course["modules"]["labs/experiments/phase0/easy.py"] = "0" * 64
    grade = graded(tmp_path, signed(honest["phase0"], course=course))
    assert "easy.py" in texts(grade, "course")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student": ""}, "no student"),
        ({"student": "../ada"}, "no student"),
        ({"phase": "phase1"}, "another phase"),
        ({"course": None}, "no version"),
    ],
)
def test_an_inconsistent_manifest_is_flagged(
    honest: Honest, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    grade = graded(tmp_path, signed(honest["phase0"], **changes))
    assert message in texts(grade, "manifest")


def test_a_run_that_did_not_end_is_flagged(honest: Honest, tmp_path: Path) -> None:
    files = with_record(honest["phase0"], lambda record: record.update(status="failed"))
    assert "not complete" in texts(graded(tmp_path, signed(files)), "manifest")


@pytest.mark.parametrize("seconds", [float("nan"), -1, 1e12, "long", None])
def test_a_run_of_an_impossible_length_is_flagged(
    honest: Honest, tmp_path: Path, seconds: object
) -> None:
    files = with_record(honest["phase0"], lambda record: record.update(seconds=seconds))
    assert "no length" in texts(graded(tmp_path, signed(files)), "manifest")


def test_missing_and_extra_files_are_named(honest: Honest, tmp_path: Path) -> None:
    files = honest["phase1"] | {"notes.pkl": b"\x80\x04.", "../outside.csv": b"a\n1\n"}
    del files["samples/hop.csv"]
    grade = graded(tmp_path, files)
    assert "samples/hop.csv" in texts(grade, "missing")
    assert "notes.pkl" in texts(grade, "extra")
    assert "../outside.csv" in texts(grade, "extra")
    assert grade.verdicts["hop"] == "unreadable"
    assert grade.verdicts["rate_limit"] == "pass"
    assert [path.name for path in tmp_path.iterdir()] == ["it.zip"]


def without_latency(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.drop(columns="latency")


def only_nan(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(latency=np.nan)


def words(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(latency="fast")


def none_left(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.iloc[:0]


@pytest.mark.parametrize(
    ("change", "message"),
    [(without_latency, "no column latency"), (words, "cannot be read"), (none_left, "hop")],
)
def test_samples_that_cannot_be_judged_leave_the_others(
    honest: Honest, tmp_path: Path, change: Callable[..., pd.DataFrame], message: str
) -> None:
    grade = graded(tmp_path, signed(with_samples(honest["phase1"], "hop", change)))
    assert grade.verdicts["hop"] == "unreadable"
    assert message in texts(grade, "unreadable")
    assert grade.verdicts["rate_limit"] == "pass"


def further_column(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(note="mine")


def earlier(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(intended=samples["intended"] - 86_400)


def constant(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(latency=0.003)


def negative(samples: pd.DataFrame) -> pd.DataFrame:
    latency = samples["latency"].where(samples.index > 0, -0.001)
    return samples.assign(latency=latency)


def one_row(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.iloc[:1]


def second_attempt(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(attempt=2)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (further_column, "columns", "further column note"),
        (earlier, "impossible", "times in intended"),
        (constant, "impossible", "all latencies are the same"),
        (negative, "impossible", "a negative latency"),
        (only_nan, "empty", "latency"),
        (one_row, "few", "1 samples"),
        (second_attempt, "attempts", "one of its attempts"),
    ],
)
def test_samples_that_no_run_measures_are_flagged(
    honest: Honest, tmp_path: Path, change: Callable[..., pd.DataFrame], kind: str, message: str
) -> None:
    grade = graded(tmp_path, signed(with_samples(honest["phase1"], "hop", change)))
    assert "hop" in texts(grade, kind)
    assert message in texts(grade, kind)


def test_a_measurement_of_the_students_own_code_is_flagged(honest: Honest, tmp_path: Path) -> None:
    def replace(record: dict[str, Any]) -> None:
        record["experiments"]["hop"]["replaced"] = {"api-gateway": "breaker.Breaker 3f2a"}

    grade = graded(tmp_path, signed(with_record(honest["phase1"], replace)))
    assert "api-gateway: breaker.Breaker 3f2a" in texts(grade, "replaced")


@pytest.mark.parametrize(
    ("seeds", "message"), [({"ada": 8}, "used 7, not 8"), ({"bob": 7}, "no seed")]
)
def test_the_seed_of_another_student_is_flagged(
    bundles: dict[str, Path], seeds: dict[str, int], message: str
) -> None:
    grade = evaluate(bundles["phase0"], "it.zip", seeds)
    assert message in texts(grade, "seed")


def test_a_cell_that_reads_samples_instead_of_measuring_is_flagged(
    honest: Honest, tmp_path: Path
) -> None:
    code = honest["phase1"]["code.py"]
    changed = code.replace(b"samples = run.measure(hop,", b"samples = theirs  # (hop,")
    assert changed != code
    grade = graded(tmp_path, signed(honest["phase1"] | {"code.py": changed}))
    assert texts(grade, "code") == "the cells that measure or keep hop were changed"
