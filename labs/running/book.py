"""The handbook as pages to read: its chapters, with the figures of this machine's own runs.

A chapter that links to an experiment's code gets that experiment's figure behind the paragraph, from the newest run
record that holds it. What no chapter names stands at the end of its phase's first chapter.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from os.path import relpath
from pathlib import Path

import jinja2
from markdown_it import MarkdownIt
from markdown_it.token import Token

from environment.compose import ROOT
from labs.records import Record, RecordError, load_record, runs_folder, write_whole
from labs.running.notebooks import all_labs
from labs.running.report import TEMPLATES, embedded

SOURCE = ROOT / "handbook"
INDEX = "index"

_EXPERIMENT = re.compile(r"labs/experiments/(\w+)\.py$")
_PHASE = re.compile(r"phase\d+")


def write_book(folder: Path | None = None) -> Path:
    """Write the book's pages into `folder` (`handbook/` of the runs' folder); returns the first one."""
    folder = folder or runs_folder() / "handbook"
    folder.mkdir(parents=True, exist_ok=True)
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SOURCE.glob("*.md"))}
    phases = {name: lab.phase for lab in all_labs().values() for name in lab.experiments}
    figures = Figures(newest_records(), phases)
    for name, text in texts.items():
        more = _left_over(name, texts, phases)
        page = render(name, text, figures=figures, more=more, folder=folder)
        write_whole(folder / f"{name}.html", partial(Path.write_text, data=page, encoding="utf-8"))
    return folder / f"{INDEX}.html"


def newest_records() -> dict[str, Record]:
    """For each experiment that was ever kept on this machine, the newest record that holds it."""
    found: dict[str, Record] = {}
    paths = runs_folder().glob("*/record.json")
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            record = load_record(path.parent)
        except RecordError:
            continue  # of another version, or half written: an older one may do
        for name in record.experiments:
            found.setdefault(name, record)
    return found


class Figures:
    """What stands in a chapter for an experiment: its figure, or how to get it."""

    def __init__(self, records: Mapping[str, Record], phases: Mapping[str, str]) -> None:
        self._records, self._phases = records, phases

    def html(self, name: str) -> str:
        """The figure with its verdict and where it comes from, as HTML."""
        if name not in self._records:
            return (
                f'<p class="soft">Here stands the figure of <em>{name}</em>, once it was drawn on this '
                f"machine: <code>lab run {self._phases.get(name, '')}</code>, then <code>lab handbook</code>.</p>"
            )
        record = self._records[name]
        verdict, facts = record.verdict(name), record.facts
        picture = embedded(record.path / f"{name}.png")
        judged = html.escape(verdict.judged)
        return (
            f'<figure id="{name}"><img alt="Figure of the experiment {name}" src="{picture}">'
            f'<figcaption><span class="badge {verdict.outcome.value}">{verdict.outcome.value}</span> '
            f'{judged}. <span class="soft">Runtime {facts["runtime"]}, profile {facts["profile"]}, '
            f"{facts['started']}.</span></figcaption></figure>"
        )


def render(name: str, text: str, *, figures: Figures, more: Sequence[str], folder: Path) -> str:
    """One chapter as a page; `more` are experiments whose figures come at its end."""
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = list(_with_figures(markdown.parse(text), figures))
    tokens += [_block(figures.html(one)) for one in more]
    _relink(tokens, folder)
    title = next((t.content for t in tokens if t.type == "inline"), name)
    body = markdown.renderer.render(tokens, markdown.options, {})
    return str(_template().render(title=title, body=body, first=name == INDEX))


def named(text: str) -> list[str]:
    """The experiments to whose code a chapter links."""
    return re.findall(r"\]\([^)]*labs/experiments/(\w+)\.py\)", text)


def _left_over(name: str, texts: Mapping[str, str], phases: Mapping[str, str]) -> list[str]:
    """The experiments of the chapter's phase that no chapter names, if it is the phase's first in the index."""
    phase = _PHASE.match(name)
    chapters = re.findall(r"\((phase\d+\w*)\.md\)", texts[INDEX])
    if not phase or name != next((c for c in chapters if c.startswith(phase[0] + "_")), None):
        return []
    known = {one for text in texts.values() for one in named(text)}
    return [one for one, its in phases.items() if its == phase[0] and one not in known]


def _with_figures(tokens: Sequence[Token], figures: Figures) -> Iterator[Token]:
    waiting: list[str] = []
    shown: set[str] = set()
    for token in tokens:
        yield token
        for child in token.children or ():
            if child.type == "link_open":
                waiting += _EXPERIMENT.findall(str(child.attrs["href"]))
        if token.level == 0 and token.nesting <= 0:  # a block of the chapter itself has ended
            for name in dict.fromkeys(waiting):
                if name not in shown:
                    yield _block(figures.html(name))
            shown.update(waiting)
            waiting = []


def _block(text: str) -> Token:
    return Token("html_block", "", 0, content=f"{text}\n")


def _relink(tokens: Sequence[Token], folder: Path) -> None:
    """Chapters link to each other's pages, and from there to the files of this clone."""
    links = [c for t in tokens for c in t.children or () if c.type == "link_open"]
    for link in links:
        target = str(link.attrs["href"])
        if re.match(r"\w+:|#", target):
            continue
        file, _, place = target.partition("#")
        path = (SOURCE / file).resolve()
        if path.parent == SOURCE and path.suffix == ".md":
            link.attrs["href"] = f"{path.stem}.html" + (f"#{place}" if place else "")
        else:
            link.attrs["href"] = relpath(path, folder.resolve())


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(loader=loader, trim_blocks=True, lstrip_blocks=True).get_template(
        "chapter.html"
    )
