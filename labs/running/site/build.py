"""Build the site: stage the book, let Sphinx write the pages, and collect what is wrong with it."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from environment.errors import LabError
from labs.records import runs_folder
from labs.running.site.book import Book, BookError
from labs.running.site.check import problems, require_alternative_texts
from labs.running.site.directives import register
from labs.running.site.lab_pages import write_lab_page
from labs.running.site.links import SourceLinks
from labs.running.site.settings import settings
from labs.running.site.spacing import keep_together

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NOTE = re.compile(r"(?:WARNING|ERROR|CRITICAL): ")


def build(
    folder: Path | None, *, strict: bool, published: bool, repository: str, root: Path
) -> Path:
    """Build the site; `labs.running.site.build_site` describes the arguments."""
    book = Book(root)
    folder = _emptied(folder or runs_folder() / "handbook", published=published)
    with tempfile.TemporaryDirectory(prefix="lab-handbook-") as temporary:
        staged = Path(temporary).resolve() / "clone"
        stage(book, staged)
        pages = Path(temporary) / "pages"
        links = SourceLinks(root, staged, published=published, repository=repository)
        output = _run_sphinx(book, links, staged / "handbook", pages, folder)
    if published:  # else GitHub's pages leave the folders out whose names begin with _
        (folder / ".nojekyll").touch()
    if strict and (found := [*_sentences(output, staged), *problems(book)]):
        raise BookError(found)
    return folder / "index.html"


def _emptied(folder: Path, *, published: bool) -> Path:
    """Remove an earlier build, so that no page of it stays.

    Raises:
        LabError: The folder holds something else, which a site to publish would carry with it.
    """
    folder = folder.resolve()
    if (folder / ".buildinfo").exists():
        shutil.rmtree(folder)
    elif published and folder.is_dir() and any(folder.iterdir()):
        raise LabError(f"{folder} holds other files: name an empty folder, or a new one")
    return folder


def stage(book: Book, staged: Path) -> None:
    """Fill a folder that looks like the clone: the book and the labs' pages as copies, all else as links."""
    staged.mkdir()
    source = book.root / "handbook"
    for path in book.root.iterdir():
        if path != source:
            (staged / path.name).symlink_to(path.resolve())
    hidden = shutil.ignore_patterns(".*")
    shutil.copytree(source, staged / "handbook", ignore=hidden)
    for lab in book.labs.values():
        write_lab_page(book, lab, staged / "handbook")


def _run_sphinx(book: Book, links: SourceLinks, source: Path, pages: Path, folder: Path) -> str:
    found = io.StringIO()
    with patch_docutils(), docutils_namespace(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of the theme and of MyST
        app = Sphinx(
            srcdir=source,
            confdir=None,
            outdir=folder,
            doctreedir=pages,
            buildername="html",
            confoverrides=settings(),
            status=None,
            warning=found,
            freshenv=True,
        )
        register(app, book)
        # Before Sphinx collects the files to copy, which it does at the usual priority of 500.
        app.connect("doctree-read", links.relink, priority=100)
        app.connect("doctree-read", require_alternative_texts)
        app.connect("doctree-read", keep_together)
        app.build(force_all=True)
    return found.getvalue()


def _sentences(output: str, staged: Path) -> Iterator[str]:
    """Return the build's warnings, with the places of the clone and not of its copy."""
    for line in _COLOUR.sub("", output).splitlines():
        if line.strip():
            yield _NOTE.sub("", line.replace(f"{staged}/", ""))
