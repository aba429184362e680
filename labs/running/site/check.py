"""What is wrong with the book and is no matter of Sphinx: claims that do not hold, figures that no chapter shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from labs.running.site.book import Book, conditions
from labs.running.site.numbers import Measured, Quantity, QuantityError

TYPED = ("console", "http", "json", "shell", "text")
"""Languages of code that a chapter may hold itself: what is typed into a terminal, and what comes back."""

_FENCE = re.compile(r"^ *(?:`{3,}|~{3,})(?!.*`)(?:\{code-block\} *)?([a-z]+)", re.MULTILINE)


LOGGER = logging.getLogger(__name__)


def require_alternative_texts(_: Sphinx, document: nodes.document) -> None:
    """Warn of each picture of a page that a reader who cannot see it would miss."""
    for image in document.findall(nodes.image):
        if not image.get("alt"):
            LOGGER.warning("%s has no alternative text", image["uri"], location=image.parent)


def problems(book: Book) -> list[str]:
    """Return one sentence for each fault, after the pages were read."""
    return [*_experiments(book), *book.faults, *_quantities(book), *_typed_listings(book)]


def _experiments(book: Book) -> Iterator[str]:
    for name, phase in book.phases.items():
        pages = book.shown.get(name, [])
        if not pages:
            yield f"{name}: no chapter shows this experiment of {phase}; add {{experiment}} {name}"
        elif len(pages) > 1:
            yield f"{name}: its figure is shown {len(pages)} times ({', '.join(pages)}), not once"


def _quantities(book: Book) -> Iterator[str]:
    for name, quantity in book.quantities.items():
        if name not in book.used:
            yield f"{name}: handbook/numbers defines it, and no chapter shows it"
        try:
            measured = book.measured(name)
        except QuantityError as problem:
            if name not in book.used:  # else the build has reported it, with its place
                yield str(problem)
            continue
        if measured is None:
            yield (
                f"{name}: no record on this machine and no value in handbook/numbers/reference.json; "
                f"{book.how_to_measure(quantity.experiment)} makes a record"
            )
        elif not quantity.holds[0] <= measured.value <= quantity.holds[1]:
            yield _broken(book, quantity, measured)


def _broken(book: Book, quantity: Quantity, measured: Measured) -> str:
    record = book.records.get(quantity.experiment)
    where = f"{record.path.name} ({conditions(record.facts)})" if record else "reference.json"
    least, most = quantity.holds
    return (
        f"{quantity.name}: {quantity.shown(measured.value)} {quantity.unit}".rstrip()
        + f" is not in {least:g} to {most:g}, the range in which its sentences hold; measured in {where}"
    )


def _typed_listings(book: Book) -> Iterator[str]:
    for path in sorted((book.root / "handbook").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            if fence[1] not in TYPED:
                line = text.count("\n", 0, fence.start()) + 1
                yield (
                    f"handbook/{path.name}:{line}: a listing in {fence[1]} is typed and no test runs it; "
                    "include it from a file with {literalinclude}"
                )
