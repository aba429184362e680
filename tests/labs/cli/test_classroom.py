"""`lab hand-in`, `lab grade` and `lab class`, as a student and an instructor type them."""

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from labs.grading import reruns
from labs.grading.grader import grade_folder
from labs.running import copies
from tests.labs.cli.command import Lab, run_lab
from tests.labs.grading.bundles import hand_in, unpack, write_run


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str]) -> Lab:
    return lambda *words: run_lab(capsys, *words)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(copies, "MY_LABS", tmp_path / "my-labs")
    return tmp_path / "runs"


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    """A folder with the bundles of Ada, who passes, and Bob, who does not."""
    folder = tmp_path / "class"
    folder.mkdir()
    hand_in(write_run(tmp_path / "made", "phase0", 1), "ada", folder / "ada.zip")
    slow = write_run(tmp_path / "made", "phase0", 2)
    versions = slow / "versions.csv"
    versions.write_text(versions.read_text().replace("yes", "no"))
    hand_in(slow, "bob", folder / "bob.zip")
    return folder


def test_the_newest_complete_run_is_handed_in(runs: Path, tmp_path: Path, lab: Lab) -> None:
    write_run(runs, "phase0", 1)
    newest = write_run(runs, "phase0", 2)
    write_run(runs, "phase0", 3, status="running")
    write_run(runs, "phase1", 4)
    out = tmp_path / "me.zip"
    printed = lab("hand-in", "phase0", "--student", "ada", "--out", str(out))
    assert (printed.code, newest.name in printed.out) == (0, True)
    assert "not in this run: startup" in printed.err
    files = unpack(out)
    assert files["record.json"] == (newest / "record.json").read_bytes()
    assert set(files) == {
        "manifest.json",
        "record.json",
        "samples/independence.csv",
        "samples/versions.csv",
        "predictions/independence.csv",
        "predictions/versions.csv",
        "code.py",
    }
    assert b"run.measure(versions, prediction, second)" in files["code.py"]


def test_answers_of_a_newer_run_that_did_not_end_are_not_passed_over_silently(
    runs: Path, tmp_path: Path, lab: Lab
) -> None:
    attempt = {"exercise": "p0-2", "answer": 3, "right": False, "time": "2026-11-01T10:00:00"}
    write_run(runs, "phase0", 1)
    newer = write_run(runs, "phase0", 2, status="running", answers=[attempt])
    words = ("--student", "ada", "--out", str(tmp_path / "me.zip"))
    printed = lab("hand-in", "phase0", *words)
    assert f"the run {newer.name} is newer and holds answers" in printed.err
    assert "answers to 0 exercises" in printed.out
    write_run(runs, "phase0", 3, answers=[attempt])
    printed = lab("hand-in", "phase0", *words, "--force")
    assert "newer" not in printed.err
    assert "answers to 1 exercises" in printed.out


def test_the_same_run_makes_the_same_bytes(runs: Path, tmp_path: Path, lab: Lab) -> None:
    write_run(runs, "phase0", 1)
    for name in ("one.zip", "two.zip"):
        lab("hand-in", "phase0", "--student", "ada", "--out", str(tmp_path / name))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_a_run_without_its_notebook_has_no_code(runs: Path, tmp_path: Path, lab: Lab) -> None:
    write_run(runs, "phase0", 1, notebook=None)
    lab("hand-in", "phase0", "--student", "ada", "--out", str(tmp_path / "me.zip"))
    assert "code.py" not in unpack(tmp_path / "me.zip")


def test_a_run_in_jupyterlab_has_the_code_of_the_students_copy(
    runs: Path, tmp_path: Path, lab: Lab
) -> None:
    write_run(runs, "phase0", 1, notebook=None)
    copies.make_copies(folder=tmp_path / "my-labs")
    lab("hand-in", "phase0", "--student", "ada", "--out", str(tmp_path / "me.zip"))
    assert b"run.measure(versions, prediction, second)" in unpack(tmp_path / "me.zip")["code.py"]


def test_another_run_can_be_named(runs: Path, tmp_path: Path, lab: Lab) -> None:
    older = write_run(tmp_path / "elsewhere", "phase0", 1)
    words = ["--student", "ada", "--out", str(tmp_path / "me.zip"), "--run", str(older), "--force"]
    assert older.name in lab("hand-in", "phase0", *words).out
    printed = lab("hand-in", "phase1", *words)
    assert (printed.code, "is a run of phase0, not of phase1" in printed.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["phase99", "--student", "ada", "--out", "me.zip"], "phase0, phase1"),
        (["phase1", "--student", "ada", "--out", "me.zip"], "There is no run of phase1"),
        (["phase0", "--student", "ada", "--out", "me.zip"], "is not complete (it is 'running')"),
        (["phase0", "--student", " ", "--out", "me.zip"], "id is empty"),
        (["phase0", "--student", "../ada", "--out", "me.zip"], "is no student's id"),
        (["phase0", "--student", "a" * 65, "--out", "me.zip"], "is no student's id"),
        (["phase0", "--student", "ada", "--out", "nowhere/me.zip"], "There is no folder nowhere"),
        (["phase0", "--student", "ada", "--out", "."], "is a folder"),
        (["phase0", "--student", "ada", "--out", "old.zip"], "exists already"),
        (["phase0", "--student", "ada", "--out", "me.zip", "--run", "nowhere"], "no run record"),
        (["phase0", "--student", "ada"], "--out"),
    ],
)
def test_what_cannot_be_handed_in_is_explained(
    runs: Path,
    tmp_path: Path,
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    write_run(runs, "phase0", 1, status="running")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.zip").write_text("homework")
    printed = lab("hand-in", *words)
    assert printed.code == 2
    assert message.replace("no run record", "is not a run record") in " ".join(printed.err.split())
    assert (tmp_path / "old.zip").read_text() == "homework"
    assert not (tmp_path / "me.zip").exists()


def test_force_overwrites_a_file(runs: Path, tmp_path: Path, lab: Lab) -> None:
    write_run(runs, "phase0", 1)
    (tmp_path / "old.zip").write_text("homework")
    words = ["--student", "ada", "--out", str(tmp_path / "old.zip"), "--force"]
    assert lab("hand-in", "phase0", *words).code == 0
    assert "manifest.json" in unpack(tmp_path / "old.zip")


def test_a_record_without_a_file_is_not_complete(runs: Path, tmp_path: Path, lab: Lab) -> None:
    (write_run(runs, "phase0", 1) / "versions.csv").unlink()
    printed = lab("hand-in", "phase0", "--student", "ada", "--out", str(tmp_path / "me.zip"))
    assert (printed.code, "versions.csv cannot be read" in printed.err) == (2, True)


def test_a_run_that_kept_nothing_is_not_complete(runs: Path, tmp_path: Path, lab: Lab) -> None:
    write_run(runs, "phase0", 1, experiments={})
    printed = lab("hand-in", "phase0", "--student", "ada", "--out", str(tmp_path / "me.zip"))
    assert (printed.code, "it kept no experiment" in printed.err) == (2, True)


def test_ids_of_any_script_are_ids(runs: Path, tmp_path: Path, lab: Lab) -> None:
    write_run(runs, "phase0", 1)
    for student in ("s1234567", "zoë.müller@example.org", "王小明", "a+b"):
        out = tmp_path / "me.zip"
        printed = lab("hand-in", "phase0", "--student", student, "--out", str(out), "--force")
        assert printed.code == 0
        assert json.loads(unpack(out)["manifest.json"])["student"] == student


def test_a_class_is_graded_into_a_table(handed_in: Path, tmp_path: Path, lab: Lab) -> None:
    table = handed_in / "grades.csv"
    for _ in range(2):  # the table of the first time is no bundle of the second
        printed = lab("grade", str(handed_in), "--csv", str(table))
        assert printed.code == 0
    assert "2 of 2  bob.zip" in printed.err
    assert "ada      ada.zip  phase0  2 of 3" in printed.out
    ada, bob = csv.DictReader(table.read_text().splitlines())
    assert (ada["student"], ada["versions"], ada["flags"]) == ("ada", "pass", "")
    assert (bob["student"], bob["versions"], bob["passed"]) == ("bob", "fail", "1")
    assert bob["startup"] == "missing"
    assert (ada["p0-m"], bob["p0-m"]) == ("not handed in", "not handed in")
    assert "versions was handed in as pass" in bob["flags"]


def test_json_holds_the_same_rows(handed_in: Path, tmp_path: Path, lab: Lab) -> None:
    printed = lab("grade", str(handed_in), "--csv", str(tmp_path / "grades.csv"), "--json")
    ada, bob = json.loads(printed.out)
    assert ada["verdicts"] == {"independence": "pass", "startup": "missing", "versions": "pass"}
    assert ada["mechanisms"] == {"p0-m": "not handed in"}
    assert (ada["passed"], ada["of"], ada["flags"], ada["seconds"]) == (2, 3, [], 30.0)
    assert {flag["kind"] for flag in bob["flags"]} == {"verdict"}


def test_a_name_is_no_formula_of_a_spreadsheet(handed_in: Path, tmp_path: Path, lab: Lab) -> None:
    (handed_in / "=HYPERLINK(1).zip").write_text("no zip")
    lab("grade", str(handed_in), "--csv", str(tmp_path / "grades.csv"))
    first = next(csv.DictReader((tmp_path / "grades.csv").read_text().splitlines()))
    assert first["file"] == "'=HYPERLINK(1).zip"


def test_the_seeds_of_a_class_are_compared(handed_in: Path, tmp_path: Path, lab: Lab) -> None:
    seeds = tmp_path / "seeds.csv"
    seeds.write_text("student,seed\nada,7\nbob,8\n")
    table = ["--csv", str(tmp_path / "grades.csv"), "--json"]
    ada, bob = json.loads(lab("grade", str(handed_in), *table, "--seeds", str(seeds)).out)
    assert "seed" not in {flag["kind"] for flag in ada["flags"]}
    assert "seed" in {flag["kind"] for flag in bob["flags"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--csv", "grades.csv"], "There is no folder nowhere"),
        (["empty", "--csv", "grades.csv"], "holds no bundles"),
        (["class", "--csv", "nowhere/grades.csv"], "a folder that exists"),
        (["class", "--csv", "empty"], "a folder that exists"),
        (["class", "--csv", "grades.csv", "--rerun", "2"], "share of the bundles"),
        (["class", "--csv", "grades.csv", "--rerun", "nan"], "share of the bundles"),
        (["class", "--csv", "grades.csv", "--seeds", "nowhere"], "columns student and seed"),
        (["class"], "--csv"),
    ],
)
def test_a_wrong_use_of_grade_is_explained(
    handed_in: Path,
    tmp_path: Path,
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    printed = lab("grade", *words)
    assert printed.code == 2
    assert message in " ".join(printed.err.split())


def test_a_share_is_run_again_and_compared(
    handed_in: Path, tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"independence": "pass", "startup": "missing", "versions": "pass"}
    asked: list[Any] = []
    monkeypatch.setattr(reruns, "_run", lambda *key: asked.append(key) or here)
    words = ["--csv", str(tmp_path / "grades.csv"), "--rerun", "1", "--seed", "3"]
    printed = lab("grade", str(handed_in), *words)
    assert "running 2 of 2 again, chosen with --seed 3" in printed.err
    assert "run 1 of 2: phase0, seed 7, for ada.zip" in printed.err
    ada, bob = csv.DictReader((tmp_path / "grades.csv").read_text().splitlines())
    assert (ada["rerun"], bob["rerun"]) == ("agrees", "differs: versions fail here pass")
    assert asked == [("phase0", "quick", 7)]  # one run for both


def test_the_chosen_share_follows_from_its_seed(handed_in: Path) -> None:
    grades = 10 * grade_folder(handed_in, watch=lambda line: None)
    chosen = [reruns.choose_reruns(grades, 0.21, seed) for seed in (1, 1, 2)]
    assert len(chosen[0]) == 5
    assert chosen[0] == chosen[1] != chosen[2]


def test_the_page_of_a_class_names_nobody(
    handed_in: Path, tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (handed_in / "carol.pdf").write_text("homework")
    printed = lab("class", str(handed_in))
    assert (printed.code, printed.out.splitlines()) == (
        0,
        [
            "class.html: the page of 2 bundles",
            "not read: carol.pdf: is no zip file, or only a part of one",
        ],
    )
    page = (tmp_path / "class.html").read_text()
    assert not any(name in page for name in (">ada", ">bob", "carol", "ada.zip"))
    assert "2 students; 1 file could not be read" in " ".join(page.split())


def test_the_page_of_a_class_is_no_bundle(handed_in: Path, lab: Lab) -> None:
    out = handed_in / "page.html"
    first, again = (lab("class", str(handed_in), "--out", str(out), "--names") for _ in range(2))
    assert (
        (first.out, first.code) == (again.out, again.code) == (f"{out}: the page of 2 bundles\n", 0)
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "There is no folder nowhere"),
        (["empty"], "empty holds no bundles: students make them with `lab hand-in`"),
        (["empty", "--out", "nowhere/page.html"], "cannot be written"),
        (["empty", "--out", "empty"], "cannot be written"),
    ],
)
def test_a_class_that_has_no_page_is_explained(
    tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    printed = lab("class", *words)
    assert (printed.code, message in " ".join(printed.err.split())) == (2, True)
    assert not (tmp_path / "class.html").exists()
