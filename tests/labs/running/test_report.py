"""The report: one page, complete in itself, verdicts first."""

import re
from pathlib import Path

import pytest

from labs.records import Run, load_record
from labs.running.report import write_report
from tests.labs.test_records import environment, keep


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    run = Run(environment(), profile="quick", seconds=9)
    for name in ("independence", "startup", "versions"):
        keep(run, name)
    run.note(expected=["independence", "sagas"], notebook="phase0_services.ipynb", title="Kill one")
    (run.path / "phase0_services.ipynb").write_text("{}")
    return write_report([load_record(run.path)], tmp_path).read_text()


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


def test_its_links_lead_somewhere(page: str, tmp_path: Path) -> None:
    for link in re.findall(r'href="([^"]+)"', page):
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page
        else:
            assert (tmp_path / link).exists()
