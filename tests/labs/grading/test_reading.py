"""A file that anybody may have made is read within limits, and named when it is no bundle."""

import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from labs.experiment import find
from labs.grading import evaluation, reading
from labs.grading.evaluation import evaluate
from labs.grading.grader import grade_folder
from tests.labs.grading.bundles import Files, pack, signed, with_record

Write = Callable[[Path, Files], object]


def unreadable(path: Path) -> str:
    grade = evaluate(path, path.name)
    assert grade.verdicts == {}
    (flag,) = grade.flags
    assert flag.kind == "unreadable"
    return flag.text


def no_zip(path: Path, files: Files) -> None:
    path.write_text("%PDF-1.7 my homework")


def empty(path: Path, files: Files) -> None:
    path.touch()


def truncated(path: Path, files: Files) -> None:
    pack(path, files)
    path.write_bytes(path.read_bytes()[:-500])


def damaged(path: Path, files: Files) -> None:
    pack(path, files)
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(data)


def link(path: Path, files: Files) -> None:
    path.symlink_to("/etc/passwd")


def pipe(path: Path, files: Files) -> None:
    os.mkfifo(path)


def bomb(path: Path, files: Files) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(3):
            archive.writestr(f"samples/hop{number}.csv", bytes(100 * 2**20))


def lying_bomb(path: Path, files: Files) -> None:
    """A file that states a size of one byte, and unpacks to many."""
    pack(path, files | {"record.json": bytes(50 * 2**20)})
    data = path.read_bytes()
    path.write_bytes(data.replace((50 * 2**20).to_bytes(4, "little"), (1).to_bytes(4, "little")))


def many_files(path: Path, files: Files) -> None:
    pack(path, files | {f"{number}.txt": b"" for number in range(300)})


def two_of_one_name(path: Path, files: Files) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", files["manifest.json"])
        archive.filelist.append(archive.filelist[0])


def odd_compression(path: Path, files: Files) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("manifest.json", files["manifest.json"])


def with_password(path: Path, files: Files) -> None:
    pack(path, {"manifest.json": files["manifest.json"]})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def other_encoding(path: Path, files: Files) -> None:
    pack(path, files | {"manifest.json": '{"student": "José"}'.encode("latin-1")})


def deep(path: Path, files: Files) -> None:
    pack(path, files | {"record.json": b"[" * 100_000})


def a_list(path: Path, files: Files) -> None:
    pack(path, files | {"record.json": b"[]"})


def no_record(path: Path, files: Files) -> None:
    pack(path, {name: data for name, data in files.items() if name != "record.json"})


def newer(path: Path, files: Files) -> None:
    pack(path, signed(files, format=99))


def unknown_phase(path: Path, files: Files) -> None:
    pack(path, with_record(files, lambda record: record.update(phase="../../etc")))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (no_zip, "no zip file"),
        (empty, "no zip file"),
        (truncated, "no zip file"),
        (damaged, "no zip file"),
        (link, "no regular file"),
        (pipe, "no regular file"),
        (bomb, "would unpack to 300 MB"),
        (lying_bomb, "no zip file"),
        (many_files, "more than 200"),
        (two_of_one_name, "two files of one name"),
        (odd_compression, "compression"),
        (with_password, "with a password"),
        (other_encoding, "manifest.json is not UTF-8"),
        (deep, "record.json is not JSON"),
        (a_list, "record.json is not a JSON object"),
        (no_record, "record.json is missing"),
        (newer, "newer version"),
        (unknown_phase, "a phase that this course does not have"),
    ],
)
def test_a_file_that_is_no_bundle_is_named(
    honest: dict[str, Files], tmp_path: Path, write: Write, message: str
) -> None:
    path = tmp_path / "it.zip"
    write(path, honest["phase1"])
    assert message in unreadable(path)


def test_a_file_that_is_too_large_is_not_opened(
    honest: dict[str, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    assert "is larger than" in unreadable(pack(tmp_path / "it.zip", honest["phase1"]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("latency\nà\n".encode("latin-1"), "not UTF-8"),
        (b"latency,latency\n1,2\n", "two columns of one name"),
        (b'latency\n"1\n', "cannot be read"),
        (b"latency\n1\n2,3\n", "cannot be read"),
        (b"", "no column latency"),
        (b"lat\x00ency\n1\n", "no column latency"),
    ],
)
def test_a_table_that_is_none_is_named(data: bytes, message: str) -> None:
    with pytest.raises(reading.BundleError, match=message):
        reading.table(data, {"latency": "float64"})


def test_a_table_with_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 10)
    with pytest.raises(reading.BundleError, match="more than 10 rows"):
        reading.table(b"latency\n" + b"1\n" * 11, {"latency": "float64"})


@pytest.mark.parametrize("kind", ["category", "M8[ns]", "complex128", 7, None])
def test_a_type_that_no_record_states_is_refused(
    honest: dict[str, Files], tmp_path: Path, kind: object
) -> None:
    def change(record: dict[str, object]) -> None:
        record["experiments"]["hop"]["samples"]["types"]["latency"] = kind  # type: ignore[index]

    files = signed(with_record(honest["phase1"], change))
    grade = evaluate(pack(tmp_path / "it.zip", files), "it.zip")
    assert grade.verdicts["hop"] == "unreadable"
    assert grade.verdicts["rate_limit"] == "pass"


def test_the_other_bundles_are_still_graded(honest: dict[str, Files], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("read me")
    pack(tmp_path / "b.zip", honest["phase0"])
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "c.zip").write_bytes(b"PK\x05\x06")
    pack(tmp_path / "d.zip", signed(honest["phase4"], student="eve"))
    (tmp_path / ".DS_Store").touch()
    grades = grade_folder(tmp_path, watch=lambda line: None)
    assert [(grade.file, grade.student, grade.passed) for grade in grades] == [
        ("a.txt", "", 0),
        ("b.zip", "ada", 2),
        ("course/c.zip", "", 0),
        ("d.zip", "eve", 2),
    ]
    kinds = [[flag.kind for flag in grade.flags] for grade in grades]
    assert kinds == [["unreadable"], [], ["unreadable"], []]


def test_a_judge_that_never_ends_costs_one_bundle(
    honest: dict[str, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        evaluation, "MOST_SECONDS", 5
    )  # the others need less, on a busy machine too
    monkeypatch.setattr(find("hop"), "judge", lambda *_: time.sleep(60))
    pack(tmp_path / "a.zip", honest["phase1"])
    pack(tmp_path / "b.zip", honest["phase0"])
    slow, usual = grade_folder(tmp_path, watch=lambda line: None)
    assert "took longer" in slow.flags[-1].text
    assert usual.passed == 2


def test_a_judge_that_takes_all_memory_costs_one_experiment(
    honest: dict[str, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find("hop"), "judge", lambda *_: bytearray(12 * 2**30) and None)
    pack(tmp_path / "a.zip", honest["phase1"])
    (grade,) = grade_folder(tmp_path, watch=lambda line: None)
    assert "MemoryError" in grade.flags[0].text
    assert grade.verdicts["rate_limit"] == "pass"


def test_a_judge_that_ends_its_process_costs_one_bundle(
    honest: dict[str, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find("hop"), "judge", lambda *_: os._exit(1))
    pack(tmp_path / "a.zip", honest["phase0"])
    pack(tmp_path / "b.zip", honest["phase1"])
    pack(tmp_path / "c.zip", honest["phase4"])
    first, died, last = grade_folder(tmp_path, watch=lambda line: None)
    assert "ended the process" in died.flags[0].text
    assert (first.passed, last.passed) == (2, 2)


def test_nothing_of_a_bundle_reaches_the_disk(honest: dict[str, Files], tmp_path: Path) -> None:
    folder = tmp_path / "handed-in"
    folder.mkdir()
    pack(folder / "it.zip", honest["phase1"] | {"../../here.py": b"raise SystemExit"})
    grade_folder(folder, watch=lambda line: None)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["handed-in", "it.zip"]


def test_the_manifest_holds_the_hash_of_every_other_file(honest: dict[str, Files]) -> None:
    files = honest["phase1"]
    manifest = json.loads(files["manifest.json"])
    assert set(manifest["files"]) == set(files) - {"manifest.json"}
    assert set(manifest) == {"format", "student", "phase", "course", "files"}
    assert "labs/experiments/phase1/hop.py" in manifest["course"]["modules"]
