"""What is wrong with the book and is no matter of Sphinx: claims that do not hold, figures that no chapter shows."""

from __future__ import annotations

from collections.abc import Iterator

from labs.running.site.book import Book, conditions
from labs.running.site.numbers import Measured, Quantity, QuantityError


def problems(book: Book) -> list[str]:
    """Return one sentence for each fault, after the pages were read."""
    return [*_experiments(book), *book.faults, *_quantities(book)]


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
