"""The handbook as a site: its chapters, with what this machine measured, and the labs with their latest runs.

Sphinx builds it from `handbook/`. It is imported only when a site is built, since it is slow to import.
"""

from __future__ import annotations

from pathlib import Path

from labs.machine import ROOT
from labs.running.site.book import Book, BookError, newest_records
from labs.running.site.numbers import Reference

SOURCE = ROOT / "handbook"

__all__ = ["SOURCE", "BookError", "build_site", "chapters", "newest_records", "record_reference"]


def chapters(source: Path = SOURCE) -> dict[str, Path]:
    """Return the files of the book by their names, such as `phase1_gateway` or `decisions/README`."""
    paths = sorted([*source.glob("*.md"), *source.glob("[!.]*/*.md")])  # no checkpoints of Jupyter
    return {path.relative_to(source).with_suffix("").as_posix(): path for path in paths}


def build_site(
    folder: Path | None = None,
    *,
    strict: bool = False,
    published: bool = False,
    repository: str = "",
    root: Path = ROOT,
) -> Path:
    """Build the site into `folder` (`handbook/` of the runs' folder), and return its first page.

    Args:
        folder: Where the pages are written. Pages of an earlier build are replaced.
        strict: Whether anything that is wrong with the book is an error.
        published: Whether the site leaves this machine, so that no link may lead into this clone.
        repository: The address to which links to files of the clone lead in a published site; when it is empty, the
            files are copied into the site.
        root: The clone.

    Raises:
        BookError: with `strict`, a warning of the build, a dead link, a claim that does not hold, and the like.
    """
    from labs.running.site.build import build

    return build(folder, strict=strict, published=published, repository=repository, root=root)


def record_reference(root: Path = ROOT) -> Path:
    """Store the quantities that this machine has records of as the reference for machines without, and return its file.

    A quantity without a record here keeps the value that it has; one that is no longer defined loses it.
    """
    book = Book(root)
    values = {name: book.measured(name) for name in book.quantities}
    path = root / "handbook" / "numbers" / "reference.json"
    Reference({name: value for name, value in values.items() if value}).write(path)
    return path
