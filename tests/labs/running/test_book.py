"""The handbook as pages: every chapter, every figure of this machine's runs, and links that lead somewhere."""

import re
from pathlib import Path

import pytest

from labs.records import Run
from labs.running.book import SOURCE, newest_records, write_book
from labs.running.notebooks import all_labs
from tests.labs.test_records import environment, keep


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    return tmp_path


def pages(first: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in first.parent.glob("*.html")}


def test_every_chapter_becomes_a_page_and_every_link_leads_somewhere(runs: Path) -> None:
    first = write_book()
    found = pages(first)
    assert set(found) == {path.stem for path in SOURCE.glob("*.md")}
    for page in found.values():
        for link in re.findall(r'href="([^"#]+)', page):
            assert link.startswith("http") or (first.parent / link).exists(), link


def test_without_a_run_every_experiment_says_how_to_get_its_figure(runs: Path) -> None:
    text = "".join(pages(write_book()).values())
    for lab in all_labs().values():
        for name in lab.experiments:
            wanted = f"figure of <em>{name}</em>, once it was drawn on this machine: <code>lab run {lab.phase}<"
            assert wanted in text


def test_a_figure_stands_behind_the_paragraph_that_names_its_experiment(runs: Path) -> None:
    keep(Run(environment(), profile="quick"), "distribution")
    page = pages(write_book())["phase3_load_balancing"]
    named, figure, after = (
        page.index(w) for w in ("distribution.py", '<figure id="distribution">', "slow_replica.py")
    )
    assert named < figure < after
    assert page.count("data:image/png;base64,") == 1
    assert '<span class="badge pass">pass</span>' in page
    assert "Runtime process, profile quick" in page


def test_what_no_chapter_names_stands_at_the_end_of_the_phases_first_chapter(runs: Path) -> None:
    keep(Run(environment(), profile="quick"), "startup")
    found = pages(write_book())
    assert [name for name, page in found.items() if '<figure id="startup">' in page] == [
        "phase0_independence"
    ]


def test_the_newest_record_counts_and_a_broken_one_does_not(runs: Path) -> None:
    for _ in range(2):
        run = Run(environment(), profile="quick")
        keep(run, "startup")
    (runs / "broken").mkdir()
    (runs / "broken" / "record.json").write_text("{")
    assert newest_records()["startup"].path == run.path.resolve()
