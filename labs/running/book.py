"""The handbook as pages: its chapters, with the figures of this machine's own runs, and its decisions.

A chapter that links to an experiment's code shows that experiment's figure after the paragraph, from the newest run
record that holds it. Experiments that no chapter links to stand at the end of their phase's first chapter. A comment
`<!-- measured: NAME, NAME -->` becomes a table of what the newest records of these experiments found, and under which
conditions.
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
from labs.experiment import modules
from labs.records import Record, RecordError, load_record, runs_folder, write_whole
from labs.running.notebooks import all_labs
from labs.running.report import TEMPLATES, embedded

SOURCE = ROOT / "handbook"
INDEX = "index"

_EXPERIMENT = re.compile(r"labs/experiments/phase\d+/(\w+)\.py$")
_MEASURED = re.compile(r"<!-- measured:([\w, ]*)-->")
_MADE = re.compile(r"<!-- (made: [\w -]+|end) -->")
_PHASE = re.compile(r"phase\d+")
_TARGETS = {"link_open": "href", "image": "src"}


def write_book(folder: Path | None = None) -> Path:
    """Write the book's pages into `folder` (`handbook/` of the runs' folder), and return the first one."""
    folder = folder or runs_folder() / "handbook"
    texts = {name: path.read_text(encoding="utf-8") for name, path in chapters().items()}
    phases = {name: lab.phase for lab in all_labs().values() for name in lab.experiments}
    figures = Figures(newest_records(), phases)
    for name, text in texts.items():
        more = _left_over(name, texts, phases)
        page = folder / f"{name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        html_text = render(name, text, figures=figures, more=more, folder=folder)
        write_whole(page, partial(Path.write_text, data=html_text, encoding="utf-8"))
    return folder / f"{INDEX}.html"


def chapters() -> dict[str, Path]:
    """Return the files of the book by their names, such as `phase1_gateway` or `decisions/README`."""
    paths = sorted([*SOURCE.glob("*.md"), *SOURCE.glob("[!.]*/*.md")])  # no checkpoints of Jupyter
    return {path.relative_to(SOURCE).with_suffix("").as_posix(): path for path in paths}


def newest_records() -> dict[str, Record]:
    """Return the newest record of each experiment that was kept on this machine."""
    newest: dict[str, Record] = {}
    paths = runs_folder().glob("*/record.json")
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            record = load_record(path.parent)
        except RecordError:
            continue  # of another version, or half written: an older one may be readable
        for name in record.experiments:
            newest.setdefault(name, record)
    return newest


NOT_TESTED = '<p class="soft">No experiment of this course tests this claim yet.</p>'


class Figures:
    """What a chapter shows of an experiment: its figure, or how to get it."""

    def __init__(self, records: Mapping[str, Record], phases: Mapping[str, str]) -> None:
        self._records, self._phases = records, phases

    def html(self, name: str) -> str:
        """Return the figure with its verdict and origin, as HTML."""
        if name not in self._records:
            return (
                f'<p class="soft">The figure of <em>{name}</em> appears here after a run on this machine: '
                f"<code>lab run {self._phases.get(name, '')}</code>, then <code>lab handbook</code>.</p>"
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

    def findings(self, names: Sequence[str]) -> str:
        """Return as an HTML table what the newest record of each experiment found, and where."""
        rows = "".join(f"<tr>{self._finding(name)}</tr>" for name in names)
        head = "<tr><th>experiment</th><th>measured here</th><th>conditions</th></tr>"
        return f"<table>{head}{rows}</table>" if names else NOT_TESTED

    def _finding(self, name: str) -> str:
        if name not in self._records:
            run = f"<code>lab run {self._phases.get(name, '')}</code>"
            return f"<td>{name}</td><td>no record on this machine</td><td>{run} makes one</td>"
        record = self._records[name]
        verdict, facts = record.verdict(name), record.facts
        badge = f'<span class="badge {verdict.outcome.value}">{verdict.outcome.value}</span>'
        found = html.escape(record.finding(name) or verdict.judged)
        on = " on PostgreSQL" if facts.get("database") == "postgresql" else ""
        where = (
            f"{facts['runtime']}{on}, {facts['machine']['cores']} cores, profile {facts['profile']}"
        )
        return f"<td>{name} {badge}</td><td>{found}</td><td>{where}, {facts['started'][:10]}</td>"


def render(name: str, text: str, *, figures: Figures, more: Sequence[str], folder: Path) -> str:
    """Return a chapter as a page; `more` are experiments whose figures come at its end."""
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = list(_with_figures(markdown.parse(text), figures))
    _fill_in(tokens, figures)
    tokens += [_block(figures.html(one)) for one in more]
    _relink(tokens, name, folder)
    title = next((t.content for t in tokens if t.type == "inline"), name)
    body = markdown.renderer.render(tokens, markdown.options, {})
    home = None if name == INDEX else relpath(f"{INDEX}.html", Path(name).parent)
    return str(_template().render(title=title, body=body, home=home))


def measured(text: str) -> list[str]:
    """Return the experiments whose findings a chapter shows in a table."""
    return [name for names in _MEASURED.findall(text) for name in _names(names)]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _fill_in(tokens: Sequence[Token], figures: Figures) -> None:
    for token in tokens:
        if token.type == "html_block":
            token.content = _MADE.sub("", token.content)
            if found := _MEASURED.search(token.content):
                token.content = f"{figures.findings(_names(found[1]))}\n"


def linked(text: str) -> list[str]:
    """Return the experiments to whose code a chapter links."""
    return [name for link in re.findall(r"\]\(([^)]*)\)", text) for name in _experiments(str(link))]


def _experiments(link: str) -> list[str]:
    """Return the experiment to whose code a link leads; none for a helper of a phase."""
    return [name for name in _EXPERIMENT.findall(link) if name in modules()]


def _left_over(name: str, texts: Mapping[str, str], phases: Mapping[str, str]) -> list[str]:
    """Return the experiments of the chapter's phase that no chapter links to, if it is the phase's first."""
    phase = _PHASE.match(name)
    in_order = re.findall(r"\((phase\d+\w*)\.md\)", texts[INDEX])
    if not phase or name != next((c for c in in_order if c.startswith(phase[0] + "_")), None):
        return []
    shown = {one for text in texts.values() for one in linked(text)}
    return [one for one, its in phases.items() if its == phase[0] and one not in shown]


def _with_figures(tokens: Sequence[Token], figures: Figures) -> Iterator[Token]:
    waiting: list[str] = []
    shown: set[str] = set()
    for token in tokens:
        yield token
        for child in token.children or ():
            if child.type == "link_open":
                waiting += _experiments(str(child.attrs["href"]))
        if token.level == 0 and token.nesting <= 0:  # a block of the chapter itself has ended
            for name in dict.fromkeys(waiting):
                if name not in shown:
                    yield _block(figures.html(name))
            shown.update(waiting)
            waiting = []


def _block(text: str) -> Token:
    return Token("html_block", "", 0, content=f"{text}\n")


def _relink(tokens: Sequence[Token], name: str, folder: Path) -> None:
    """Make a chapter's links and pictures lead to the pages of other chapters, and to the files of this clone."""
    chapter = (SOURCE / name).parent
    page = (folder.resolve() / name).parent
    pages = set(chapters().values())
    inline = [child for token in tokens for child in token.children or ()]
    for link in [child for child in inline if child.type in _TARGETS]:
        target = str(link.attrs[_TARGETS[link.type]])
        if re.match(r"\w+:|#", target):
            continue
        file, _, place = target.partition("#")
        path = (chapter / file).resolve()
        if path in pages:
            path = folder.resolve() / path.relative_to(SOURCE).with_suffix(".html")
        link.attrs[_TARGETS[link.type]] = relpath(path, page) + (f"#{place}" if place else "")


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(loader=loader, trim_blocks=True, lstrip_blocks=True).get_template(
        "chapter.html"
    )
