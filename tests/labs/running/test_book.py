"""The handbook as pages: every chapter, every figure of this machine's runs, and links that work."""

import json
import os
import re
from pathlib import Path

import pytest

from labs.experiments.phase3.distribution import JUDGED
from labs.records import Run, load_record
from labs.running.book import SOURCE, chapters, linked, measured, newest_records, write_book
from labs.running.notebooks import all_labs
from tests.labs.test_records import environment, keep


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    return tmp_path


def pages(first: Path) -> dict[str, str]:
    """Return the text of each page by its name, such as `decisions/README`."""
    paths = first.parent.rglob("*.html")
    return {
        path.relative_to(first.parent).with_suffix("").as_posix(): path.read_text()
        for path in paths
    }


def links(page: str) -> list[str]:
    found = re.findall(r'(?:href|src)="([^"#]+)', page)
    return [link for link in found if not link.startswith(("http", "data:"))]


def test_a_picture_of_a_chapter_is_found_from_its_page(runs: Path) -> None:
    page = pages(write_book())["phase5_saga"]
    pictures = [Path(link) for link in links(page) if link.endswith(".svg")]
    assert len(pictures) == 3
    for picture in pictures:
        assert (runs / "handbook" / picture).resolve().is_relative_to(SOURCE)


def test_every_chapter_and_every_decision_becomes_a_page(runs: Path) -> None:
    names = set(pages(write_book()))
    assert names == set(chapters())
    assert names > {path.stem for path in SOURCE.glob("*.md")}
    assert len([name for name in names if name.startswith("decisions/")]) > 10


def test_every_link_of_every_page_leads_to_a_file(runs: Path) -> None:
    first = write_book()
    for name, page in pages(first).items():
        for link in links(page):
            assert (first.parent / Path(name).parent / link).exists(), f"{name}: {link}"


def test_every_page_can_be_reached_from_the_index(runs: Path) -> None:
    first = write_book()
    texts, reached, waiting = pages(first), set(), ["index"]
    while waiting:
        name = waiting.pop()
        if name in texts and name not in reached:
            reached.add(name)
            waiting += [
                os.path.normpath(Path(name).parent / link).removesuffix(".html")
                for link in links(texts[name])
            ]
    assert reached == set(texts)


def test_without_a_run_every_experiment_says_how_to_get_its_figure(runs: Path) -> None:
    text = "".join(pages(write_book()).values())
    for lab in all_labs().values():
        for name in lab.experiments:
            assert (
                f"<em>{name}</em> appears here after a run on this machine: "
                f"<code>lab run {lab.phase}<" in text
            )


def test_every_phase_has_a_chapter_that_links_to_experiments() -> None:
    texts = {path.stem: path.read_text() for path in SOURCE.glob("phase*.md")}
    linking = {name.partition("_")[0] for name, text in texts.items() if linked(text)}
    assert linking == set(all_labs())


def test_claims_without_a_record_say_that_they_have_none(runs: Path) -> None:
    page = pages(write_book())["claims_retested"]
    for name in measured((SOURCE / "claims_retested.md").read_text()):
        phase = next(lab.phase for lab in all_labs().values() if name in lab.experiments)
        row = f"<td>{name}</td><td>no record on this machine</td><td><code>lab run {phase}<"
        assert row in page
    assert "No experiment of this course tests this claim yet" not in page
    assert "<!--" not in page


def test_a_claim_is_filled_with_the_finding_of_its_newest_record(runs: Path) -> None:
    run = Run(environment(), profile="quick")
    keep(run, "distribution")
    page = pages(write_book())["claims_retested"]
    found = load_record(run.path).finding("distribution")
    assert found == "The busiest replica got 33% by turns and 50% by ip_hash"
    assert f'distribution <span class="badge pass">pass</span></td><td>{found}</td>' in page
    assert f"{os.cpu_count()} cores, profile quick" in page


def test_an_older_record_without_a_finding_shows_what_was_judged(runs: Path) -> None:
    run = Run(environment(), profile="quick")
    keep(run, "distribution")
    path = run.path / "record.json"
    facts = json.loads(path.read_text())
    del facts["experiments"]["distribution"]["finding"]
    path.write_text(json.dumps(facts))
    assert f"<td>{JUDGED}</td>" in pages(write_book())["claims_retested"]


def test_a_link_to_a_helper_of_a_phase_shows_no_figure() -> None:
    assert linked("[it](../labs/experiments/phase3/releases.py)") == []
    assert linked("[it](../labs/experiments/phase3/canary.py)") == ["canary"]


def test_a_figure_stands_after_the_paragraph_that_links_its_experiment(runs: Path) -> None:
    keep(Run(environment(), profile="quick"), "distribution")
    page = pages(write_book())["phase3_load_balancing"]
    paragraph, figure, after = (
        page.index(text)
        for text in ("distribution.py", '<figure id="distribution">', "slow_replica.py")
    )
    assert paragraph < figure < after
    assert page.count("data:image/png;base64,") == 1
    assert '<span class="badge pass">pass</span>' in page
    assert "Runtime process, profile quick" in page


def test_a_figure_without_a_link_ends_the_phases_first_chapter(runs: Path) -> None:
    keep(Run(environment(), profile="quick"), "startup")
    texts = pages(write_book())
    assert [name for name, page in texts.items() if '<figure id="startup">' in page] == [
        "phase0_independence"
    ]


def test_the_newest_record_counts_and_a_broken_one_does_not(runs: Path) -> None:
    for _ in range(2):
        run = Run(environment(), profile="quick")
        keep(run, "startup")
    (runs / "broken").mkdir()
    (runs / "broken" / "record.json").write_text("{")
    assert newest_records()["startup"].path == run.path.resolve()
