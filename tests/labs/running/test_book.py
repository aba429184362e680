"""The handbook as a site: what a page shows, and which faults a strict build finds."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import nbformat
import pytest
import yaml
from typer.main import get_command

from environment.errors import LabError
from labs.cli.runs import app as runs_app
from labs.experiments.phase3.distribution import JUDGED
from labs.machine import ROOT
from labs.records import Run, load_record
from labs.running import site
from labs.running.site import BookError, build_site, newest_records, record_reference
from tests.labs.cli.command import run_lab
from tests.labs.running.sample_book import BROKEN, write_book
from tests.labs.test_records import environment, keep


@pytest.fixture(scope="module", autouse=True)
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the module a folder of runs with one record, of the experiment `distribution`."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_RUNS", str(folder))
        patch.delenv("LAB_RUN", raising=False)
        run = Run(environment(), profile="quick")
        keep(run, "distribution")
        output = nbformat.v4.new_output("stream", text="printed by the run\n")
        cell = nbformat.v4.new_code_cell("run.keep(distribution, a, b)", outputs=[output])
        title = nbformat.v4.new_markdown_cell("# Measure it\n\nSee [One](../handbook/one.md).")
        nbformat.write(nbformat.v4.new_notebook(cells=[title, cell]), run.path / "phase3_lab.ipynb")
        run._folder.write(phase="phase3", notebook="phase3_lab.ipynb", status="complete")
        yield folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the sample's site."""
    root = write_book(tmp_path_factory.mktemp("sample"))
    return build_site(root / "runs" / "handbook", strict=True, root=root).parent


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what a strict build says about a book with one fault of each kind."""
    root = write_book(tmp_path_factory.mktemp("broken"), BROKEN)
    with pytest.raises(BookError) as found:
        build_site(root / "runs" / "handbook", strict=True, root=root)
    return found.value.problems


def pages(folder: Path) -> dict[str, str]:
    """Return the text of each page by its name, such as `decisions/README`."""
    paths = [path for path in folder.rglob("*.html") if "_static" not in path.parts]
    return {path.relative_to(folder).with_suffix("").as_posix(): path.read_text() for path in paths}


def links(page: str) -> list[str]:
    """Return the links and sources of a page that lead to files."""
    found = re.findall(r'(?:href|src)="([^"#?]+)', page)
    return [unescape(link) for link in found if not re.match(r"\w+:", link)]


# What a page shows


def test_every_link_of_every_page_leads_to_a_file(built: Path) -> None:
    for name, page in pages(built).items():
        for link in links(page):
            assert (built / Path(name).parent / link).exists(), f"{name}: {link}"


def test_every_chapter_and_every_lab_becomes_a_page(built: Path) -> None:
    assert {"index", "one", "two", "glossary", "labs/phase3_lab"} <= set(pages(built))


def test_no_page_asks_for_anything_from_elsewhere(built: Path) -> None:
    for name, page in pages(built).items():
        asked = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*", page)
        assert [tag for tag in asked if re.search(r'(?:src|href)="(?:https?:)?//', tag)] == [], name
    for sheet in (built / "_static").rglob("*.css"):
        text = sheet.read_text()
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", text), sheet


def test_a_figure_has_its_verdict_origin_and_alternative_text(built: Path) -> None:
    page = pages(built)["one"]
    figure = page[page.index('id="figure-distribution"') :].partition("</figure>")[0]
    assert '<span class="verdict pass">pass</span>' in figure
    assert f"{os.cpu_count()} cores, profile quick" in figure
    assert re.search(r'alt="[^"]*The busiest replica got 33% by turns and 50% by ip_hash', figure)
    picture = re.search(r'src="([^"]+)"', figure)
    assert picture
    assert (built / picture[1]).read_bytes()[:4] == b"\x89PNG"


def test_a_figure_stands_where_the_chapter_puts_it(built: Path) -> None:
    page = pages(built)["one"]
    before, figure, after = (page.index(text) for text in ("Predict", "<figure", "Look at it"))
    assert before < figure < after


def test_an_experiment_without_a_run_names_the_command(built: Path) -> None:
    assert (
        "The figure of <em>canary</em> appears here after a run on this machine: "
        "<code>lab run phase3</code>" in pages(built)["one"]
    )


def test_a_claim_is_filled_with_the_finding_of_its_newest_record(built: Path) -> None:
    page = pages(built)["one"]
    found = "The busiest replica got 33% by turns and 50% by ip_hash"
    assert f'distribution <span class="verdict pass">pass</span></td><td>{found}</td>' in page
    assert "<td>canary</td><td>no record on this machine</td><td><code>lab run phase3<" in page


def test_a_measured_number_shows_its_interval_and_origin(built: Path) -> None:
    page = pages(built)["one"]
    number = page[page.index('<span class="measured"') :].partition("</p>")[0]
    value, low, high = re.findall(r"[\d.]+", re.sub(r"<[^>]+>|&nbsp;", " ", number))[:3]
    assert float(low) < float(value) < float(high)
    assert re.search(r"share of 180 samples of distribution.*profile quick", number)


def test_a_number_without_a_record_comes_from_the_reference(built: Path) -> None:
    page = pages(built)["two"]
    assert "7.5&nbsp;ms" in page
    assert "Measured on 3 May 2026 on A processor, 4 cores; docker, profile full." in page


def test_formulas_need_no_script(built: Path) -> None:
    page = pages(built)["one"]
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"' in page
    assert not re.search(r"<script[^>]*mathjax", page, re.IGNORECASE)


def test_a_line_does_not_separate_a_number_from_its_unit(built: Path) -> None:
    page = pages(built)["one"]
    assert "late for 20\u00a0ms, which" in page
    assert "</math>\u00a0s and <span" in page
    assert "44\u00a0% and no comment" in page
    assert '<span class="pre">20</span> <span class="pre">s</span>' in page  # code stays as it is


def test_a_line_does_not_separate_a_formula_from_its_comma(built: Path) -> None:
    assert "</math>,</span> it is late" in pages(built)["one"]


def test_a_term_leads_to_the_glossary(built: Path) -> None:
    assert 'href="glossary.html#term-replica"' in pages(built)["one"]


def test_a_listing_is_a_piece_of_the_file_that_it_names(built: Path) -> None:
    page = pages(built)["one"]
    text = re.sub(r"<[^>]+>", "", page)
    assert "return amount * 2" in text
    assert "not_shown" not in text
    link = re.search(r'href="([^"]+)">microservices/double.py</a>', page)
    assert link
    assert (built / link[1]).read_text().startswith('"""A listing.')


def test_a_link_to_a_lab_leads_to_its_page(built: Path) -> None:
    article = pages(built)["one"].partition("<article")[2]
    assert 'href="labs/phase3_lab.html"' in article.partition("</article>")[0]


def test_a_lab_is_shown_as_its_newest_run_left_it(built: Path) -> None:
    page = pages(built)["labs/phase3_lab"]
    assert "printed by the run" in page
    assert 'href="../one.html"' in page
    assert "lab open phase3" in re.sub(r"<[^>]+>", "", page)


def test_a_fence_of_mermaid_becomes_a_picture(built: Path) -> None:
    assert re.search(
        r'<img alt="[^"]*client[^"]*" src="\.\./_images/', pages(built)["labs/phase4_other"]
    )


def test_the_pages_follow_each_other_and_can_be_searched(built: Path) -> None:
    page = pages(built)["one"]
    assert re.search(r'class="right-next"\s+href="two.html"', page)
    assert re.search(r'class="left-prev"\s+href="index.html"', page)
    index = (built / "searchindex.js").read_text()
    assert "independ" in index  # the stem of a word of chapter one


def test_a_line_that_begins_with_a_percent_sign_is_text(built: Path) -> None:
    assert "% and no comment. The busiest" in pages(built)["one"]


def test_comments_of_generated_parts_are_not_shown(built: Path) -> None:
    assert "made: table" not in re.sub(r"<!--.*?-->", "", pages(built)["one"])


# What a strict build finds


@pytest.mark.parametrize(
    "sentence",
    [
        r"handbook/one\.md:\d+: .*not found: '\.\./microservices/missing\.py'",
        r"handbook/one\.md:\d+: .*nowhere\.md",
        r"handbook/one\.md:\d+: .*outside\.txt",
        r"handbook/one\.md:\d+: .*no-such-place",
        r"handbook/one\.md:\d+: .*no-such-picture",
        r"handbook/one\.md:\d+: figures/picture\.svg has no alternative text",
        r"handbook/one\.md:\d+: term not in glossary: 'unexplained'",
        r"handbook/one\.md:\d+: no quantity 'undefined' in handbook/numbers",
        r"handbook/one\.md:\d+: no experiment 'unheard'",
        r"handbook/one\.md:\d+: .*no_such_function",
        r"handbook/one\.md:\d+: .*gone\.py",
        r"handbook/one\.md:\d+: the formula \$.frac\{1\$ cannot be read",
        r"handbook/one\.md:\d+: the formula \$.unheard x\$ has an unknown .unheard",
        r"handbook/one\.md:\d+: a listing in python is typed",
        r"handbook/alone\.md: document isn't included in any toctree",
        r"^rolling_replacement: no chapter shows this experiment of phase3",
        r"^distribution: its figure is shown 2 times \(one, one\)",
        r"^too_high: 17 % is not in 60 to 70, .*; measured in \d+-\d+-phase0-process",
        r"^old: 7\.5 ms is not in 100 to 200, .*; measured in reference\.json",
        r"^unused: handbook/numbers defines it, and no chapter shows it",
        r"^unmeasured: no record on this machine and no value",
        r"one\.md:\d+: wrong_column cannot be .*speed.*have the columns: .*",
        r"one\.md:\d+: wrong_rows finds no rows",
        r"^phase4_other\.ipynb: 'pie' is no diagram",
        r"^sample\.yaml: misspelt has an unknown key 'colum'",
        r"^sample\.yaml: unheard names an unknown statistic 'middle'; there are: median",
        r"^sample\.yaml: elsewhere names an unknown experiment 'unheard'",
    ],
)
def test_a_strict_build_finds(sentence: str, faults: list[str]) -> None:
    assert [fault for fault in faults if re.search(sentence, fault)], "\n".join(faults)


def test_without_strict_a_broken_claim_is_marked_in_its_page(tmp_path: Path) -> None:
    root = write_book(tmp_path, BROKEN)
    page = pages(build_site(tmp_path / "pages", root=root).parent)["one"]
    assert re.search(r'<span class="measured broken".*The text expects 60 to 70 %', page)


# A site to publish


def test_a_published_site_holds_the_files_that_it_links_to(tmp_path: Path) -> None:
    root = write_book(tmp_path / "clone")
    folder = build_site(tmp_path / "site", published=True, root=root).parent
    for name, page in pages(folder).items():
        for link in links(page):
            target = (folder / Path(name).parent / link).resolve()
            assert target.is_relative_to(folder.resolve()), f"{name}: {link}"
            assert target.exists(), f"{name}: {link}"
    with pytest.raises(LabError, match="other files"):
        build_site(root, published=True, root=root)
    address = "https://example.org/blob/main"
    again = build_site(tmp_path / "site", published=True, repository=address, root=root).parent
    assert f'href="{address}/microservices/double.py"' in pages(again)["one"]
    assert not (again / "files").exists()


# The command and the records


def test_the_command_prints_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(folder: Path | None, **options: object) -> Path:
        if options["strict"]:
            raise BookError(["a: dead link", "b: no figure"])
        return Path("index.html")

    monkeypatch.setattr(site, "build_site", build)
    checked = run_lab(capsys, "handbook", "--check")
    assert (checked.code, checked.out) == (1, "a: dead link\nb: no figure\n")
    plain = run_lab(capsys, "handbook")
    assert (plain.code, plain.out) == (0, "index.html\n")


def test_the_command_line_starts_without_sphinx() -> None:
    code = "import sys, labs.cli.main; print([name for name in sys.modules if 'sphinx' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_this_machines_numbers_become_the_reference(tmp_path: Path) -> None:
    root = write_book(tmp_path)
    reference = record_reference(root)
    values = json.loads(reference.read_text())
    assert sorted(values) == ["busiest", "old"]
    assert values["old"]["cpu"] == "A processor"
    assert values["busiest"]["profile"] == "quick"


def test_an_older_record_without_a_finding_shows_what_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path / "runs"))
    run = Run(environment(), profile="quick")
    keep(run, "distribution")
    path = run.path / "record.json"
    facts = json.loads(path.read_text())
    del facts["experiments"]["distribution"]["finding"]
    path.write_text(json.dumps(facts))
    assert load_record(run.path).finding("distribution") == ""
    root = write_book(tmp_path / "clone")
    assert f"<td>{JUDGED}</td>" in pages(build_site(tmp_path / "site", root=root).parent)["one"]


def test_a_record_without_its_files_is_like_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path / "runs"))
    run = Run(environment(), profile="quick")
    keep(run, "distribution")
    for file in run.path.glob("distribution.*"):
        file.unlink()
    root = write_book(tmp_path / "clone")
    page = pages(build_site(tmp_path / "site", root=root).parent)["one"]
    assert "The figure of <em>distribution</em> appears here after a run" in page
    assert "(not measured yet: <code>lab run phase3</code>)" in page


def test_the_newest_record_counts_and_a_broken_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    for _ in range(2):
        run = Run(environment(), profile="quick")
        keep(run, "startup")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text("{")
    assert newest_records()["startup"].path == run.path.resolve()


def test_the_workflow_calls_the_command_with_its_options() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "handbook.yml").read_text())
    lines = [step.get("run", "") for step in workflow["jobs"]["publish"]["steps"]]
    (line,) = [line for line in lines if "lab handbook" in line]
    command = get_command(runs_app).commands["handbook"]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--check", "--static"} <= set(re.findall(r"--[a-z]+", line)) <= options


# The handbook itself


@pytest.mark.slow
@pytest.mark.core
def test_the_handbook_builds_without_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "LAB_RUNS", str(tmp_path / "runs")
    )  # no records: the reference holds the numbers
    first = build_site(tmp_path / "site", strict=True)
    texts = pages(first.parent)
    for name, page in texts.items():
        for link in links(page):
            assert (first.parent / Path(name).parent / link).exists(), f"{name}: {link}"
