"""The labs as pages of the site: each notebook as its newest run left it, to read and not to run."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from labs.records import Record
from labs.running.notebooks import Lab
from labs.running.report import COLOUR
from labs.running.site.book import Book, conditions
from labs.running.site.mermaid import MermaidError, draw

FOLDER = "labs"
"""The folder of the labs' pages and their pictures, in the book."""

_FENCE = "`" * 8
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_LOCAL_ADDRESS = re.compile(r'<a href="\w+://127\.0\.0\.1[^"]*"[^>]*>(.*?)</a>', re.DOTALL)
_MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def write_lab_page(book: Book, lab: Lab, folder: Path) -> Path:
    """Write a lab as Markdown into `labs/` of the staged book, with the pictures of its outputs."""
    record = book.runs.get(lab.phase)
    notebook = lab.path
    if record and (record.path / str(record.facts["notebook"])).exists():
        notebook = record.path / str(record.facts["notebook"])
    else:
        record = None
    page = folder / FOLDER / f"{lab.path.stem}.md"
    page.parent.mkdir(exist_ok=True)
    cells = nbformat.read(notebook, as_version=4).cells  # type: ignore[no-untyped-call]
    text = "\n\n".join(LabPage(book, lab, record, page).parts(cells))
    page.write_text(text + "\n", encoding="utf-8")
    return page


class LabPage:
    """One page: the cells of a notebook as Markdown."""

    def __init__(self, book: Book, lab: Lab, record: Record | None, page: Path) -> None:
        self._book, self._lab, self._record, self._page = book, lab, record, page
        self._pictures = 0

    def parts(self, cells: list[Any]) -> Iterator[str]:
        """Return the blocks of the page."""
        noted = False
        for cell in cells:
            if cell.cell_type == "markdown":
                text = _MERMAID.sub(self._diagram, _relinked(cell.source))
                if not noted:
                    title, _, rest = text.partition("\n")
                    text, noted = f"{title}\n\n{self._note()}\n{rest}", True
                yield text
            elif cell.cell_type == "code":
                yield f"{_FENCE}python\n{cell.source.rstrip()}\n{_FENCE}"
                for output in cell.outputs:
                    if text := self._output(output, cell.source):
                        yield text

    def _note(self) -> str:
        origin = (
            f"as its newest run on this machine left it ({conditions(self._record.facts)})"
            if self._record
            else f"without outputs: no run of it is on this machine; `lab run {self._lab.phase}` makes one"
        )
        command = f"To run it yourself: `lab open {self._lab.phase}`."
        return f":::{{admonition}} To read\nThis page shows the lab {origin}. {command}\n:::\n"

    def _output(self, output: Any, source: str) -> str:
        if output.output_type == "stream":
            return _text(output.text, "text")
        if output.output_type == "error":
            return _text("\n".join(output.traceback), "text")
        data = output.data
        if "image/png" in data:
            return self._picture(data["image/png"], source)
        if "text/markdown" in data:
            return str(data["text/markdown"]).strip()
        if "text/latex" in data:  # a listing: highlighted by the site, in both of its colours
            return _text(data["text/plain"], "python")
        if "text/html" in data:
            html = _LOCAL_ADDRESS.sub(r"\1", data["text/html"]).strip()
            return (
                f'{_FENCE}{{raw}} html\n<div class="output">{html}</div>\n{_FENCE}' if html else ""
            )
        return _text(data.get("text/plain", ""), "text")

    def _picture(self, data: str, source: str) -> str:
        return self._image(base64.b64decode(data), "png", self._alternative(source))

    def _diagram(self, fence: re.Match[str]) -> str:
        try:
            svg, title = draw(fence[1])
        except MermaidError as problem:
            self._book.faults.append(f"{self._lab.path.name}: {problem}")
            return fence[0]
        return self._image(svg.encode(), "svg", title)

    def _image(self, data: bytes, kind: str, alternative: str) -> str:
        self._pictures += 1
        name = f"{self._lab.path.stem}-{self._pictures}.{kind}"
        (self._page.parent / name).write_bytes(data)
        return f"![{re.sub(r'[][]', '', alternative)}]({name})"

    def _alternative(self, source: str) -> str:
        """Return the text for a reader who cannot see a figure: what the experiment of its cell found."""
        if self._record:
            for name in self._record.experiments:
                if re.search(rf"\b{name}\b", source):
                    found = self._record.finding(name) or self._record.verdict(name).judged
                    return f"Figure of {name}: {found}."
        return "Figure that the cell above draws."


def _text(text: str, language: str) -> str:
    plain = COLOUR.sub("", text).rstrip()
    return (
        f"{_FENCE}{{code-block}} {language}\n:class: output\n\n{plain}\n{_FENCE}" if plain else ""
    )


def _relinked(text: str) -> str:
    """Make the relative links of a notebook's cell right for a page in `handbook/labs/`."""
    parts = _CODE.split(text)
    return "".join(
        part if number % 2 else _LINK.sub(lambda link: f"]({_target(link[2])})", part)
        for number, part in enumerate(parts)
    )


def _target(target: str) -> str:
    if re.match(r"\w+:|#", target):
        return target
    file, _, place = target.partition("#")
    path = os.path.normpath(os.path.join("labs", file))  # noqa: PTH118 - it need not exist
    return os.path.relpath(path, "handbook/labs") + (f"#{place}" if place else "")
