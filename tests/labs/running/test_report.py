"""The report: one page, complete in itself, verdicts first."""

import re
from pathlib import Path

import pytest

from labs.experiment import find
from labs.records import Run, load_record
from labs.running.report import write_report
from tests.labs.test_records import SAMPLES, environment, keep


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_RUNS", str(root))
        run = Run(environment(), profile="quick", seconds=9)
    run._seconds["startup"] = 12.34
    run.guess(find("startup"), share=51, sure=0.8)
    run._guesses.compare(find("startup"), *SAMPLES["startup"])
    run.guess(find("hop"), overhead_ms=2, sure=0.6)
    for name in ("independence", "startup", "versions"):
        keep(run, name)
    run.note(
        expected=["independence", "sagas"],
        notebook="phase0_services.ipynb",
        title="Kill one",
    )
    (run.path / "phase0_services.ipynb").write_text("{}")
    record = load_record(run.path)
    record.facts["seconds"] = 75
    return write_report([record], root).read_text()


def test_it_needs_no_network(page: str) -> None:
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert "@import" not in page
    assert page.count("data:image/png;base64,") == 3


def test_it_holds_verdicts_before_figures(page: str) -> None:
    assert page.index("what was judged") < page.index("<img")
    assert page.count('class="badge pass"') == 6


def test_it_shows_what_is_missing(page: str) -> None:
    assert 'class="badge missing"' in page
    assert "1 missing" in page


def test_it_says_how_and_where(page: str) -> None:
    assert "seconds = 9" in page
    assert "213" in page
    assert "One by one takes the sum" in page
    assert "phase0-process/phase0_services.ipynb" in page


def test_it_shows_the_time_of_the_lab_and_of_each_experiment(page: str) -> None:
    assert "1 lab in 1 min 15 s" in page
    assert '<td class="n">12.3</td>' in page
    assert "Measured in 12 s." in page


def test_it_asks_the_question_of_each_experiment(page: str) -> None:
    assert all(find(name).TITLE in page for name in ("independence", "startup", "versions"))


def test_it_shows_what_was_guessed_and_how_well(page: str) -> None:
    assert "<td>startup</td><td>share</td>" in page
    assert '<td class="n">80 %</td>' in page
    assert "right in 1 of 1 (100%)" in page
    assert page.count("<td>\u2013</td></tr>") == 1, "a guess that was not measured is not judged"


def test_a_lab_without_guesses_has_no_table_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    run = Run(environment(), profile="quick")
    keep(run, "versions")
    assert "What was guessed" not in write_report([load_record(run.path)], tmp_path).read_text()


def test_its_links_lead_to_files(page: str, root: Path) -> None:
    for link in re.findall(r'href="([^"]+)"', page):
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page
        else:
            assert (root / "reports" / link).exists()
