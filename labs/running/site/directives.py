"""The directives of the handbook: `{experiment}`, `{findings}`, `{timings}`, and the role `{measured}`."""

from __future__ import annotations

import shutil
from html import escape
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from labs.experiment import find, modules
from labs.running.site.book import Book, conditions, day
from labs.running.site.numbers import Measured, Quantity, QuantityError

LOGGER = logging.getLogger(__name__)

PICTURES = "_records"
"""The folder of the staged book that holds the figures of the records."""


def register(app: Sphinx, book: Book) -> None:
    """Add the directives and the role, each bound to this build."""
    for directive in (ExperimentDirective, FindingsDirective, TimingsDirective):
        app.add_directive(
            directive.name_in_text, type(directive.__name__, (directive,), {"book": book})
        )
    app.add_role("measured", type("BoundRole", (MeasuredRole,), {"book": book})())


class BookDirective(SphinxDirective):
    """A directive that shows something of the book."""

    book: ClassVar[Book]
    name_in_text: ClassVar[str]
    required_arguments = 1
    final_argument_whitespace = True

    def names(self) -> list[str]:
        """Return the experiments that the argument names, without those that do not exist."""
        names = [name.strip() for name in self.arguments[0].split(",")]
        for name in names:
            if name not in modules():
                LOGGER.warning("no experiment %r", name, location=self.get_location())
        return [name for name in names if name in modules()]


class ExperimentDirective(BookDirective):
    """The figure of an experiment from the newest run of this machine, with its verdict and origin."""

    name_in_text = "experiment"

    def run(self) -> list[nodes.Node]:
        """Return the figure, or how to get it."""
        shown: list[nodes.Node] = []
        for name in self.names():
            self.book.shown[name].append(self.env.docname)
            record = self.book.records.get(name)
            there = record and (record.path / f"{name}.png").exists()
            shown.append(self._figure(name) if there else self._missing(name))
        return shown

    def _figure(self, name: str) -> nodes.Node:
        record = self.book.records[name]
        verdict = record.verdict(name)
        pictures = Path(self.env.srcdir) / PICTURES
        pictures.mkdir(exist_ok=True)
        shutil.copyfile(record.path / f"{name}.png", pictures / f"{name}.png")
        found = record.finding(name) or verdict.judged
        text = f"Figure of the experiment {name}. {find(name).TITLE} {found}."
        image = nodes.image("", uri=f"/{PICTURES}/{name}.png", alt=text)
        image["candidates"] = {"*": f"{PICTURES}/{name}.png"}
        badge = _badge(verdict.outcome.value)
        judged = escape(verdict.judged)
        origin = f'<span class="origin">{name}: {escape(conditions(record.facts))}.</span>'
        caption = nodes.caption("", "", nodes.raw("", f"{badge} {judged}. {origin}", format="html"))
        figure = nodes.figure("", image, caption, classes=["experiment"], ids=[f"figure-{name}"])
        self.set_source_info(figure)
        image.source, image.line = figure.source, figure.line
        return figure

    def _missing(self, name: str) -> nodes.Node:
        command = self.book.how_to_measure(name)
        text = (
            f'<p class="missing" id="figure-{name}">The figure of <em>{name}</em> appears here after a run on this '
            f"machine: <code>{command}</code>, then <code>lab handbook</code>.</p>"
        )
        return nodes.raw("", text, format="html")


class FindingsDirective(BookDirective):
    """A table of what the newest record of each experiment found, and under which conditions."""

    name_in_text = "findings"

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = [self._row(name) for name in self.names()]
        return [
            nodes.raw(
                "", _table(("experiment", "measured here", "conditions"), rows), format="html"
            )
        ]

    def _row(self, name: str) -> list[str]:
        if name not in self.book.records:
            command = f"<code>{self.book.how_to_measure(name)}</code> makes one"
            return [name, "no record on this machine", command]
        record = self.book.records[name]
        verdict = record.verdict(name)
        found = record.finding(name) or verdict.judged
        return [
            f"{name} {_badge(verdict.outcome.value)}",
            escape(found),
            escape(conditions(record.facts)),
        ]


class TimingsDirective(BookDirective):
    """A table of how long the labs and their experiments take on this machine, and their memory."""

    name_in_text = "timings"
    required_arguments = 0

    def run(self) -> list[nodes.Node]:
        """Return the table, one row for each lab with a record and one for each of its experiments."""
        rows: list[list[str]] = []
        for phase, lab in self.book.labs.items():
            record = self.book.runs.get(phase)
            if record is None:
                rows.append([f"<strong>{phase}</strong>", lab.title, "no record", "no record"])
                continue
            minutes = f"<strong>{record.facts['seconds'] / 60:.1f}&nbsp;min</strong>"
            memory = f"<strong>{record.facts['memory_mib'] or 0:,}&nbsp;MiB</strong>"
            origin = f"{escape(lab.title)} ({escape(conditions(record.facts))})"
            rows.append([f"<strong>{phase}</strong>", origin, minutes, memory])
            for name in record.experiments:
                entry = record.facts["experiments"][name]
                seconds = entry.get("seconds")
                took = "" if seconds is None else f"{max(1, round(seconds))}&nbsp;s"
                rows.append([name, escape(entry["title"]), took, ""])
        head = ("lab or experiment", "what", "time", "memory")
        return [nodes.raw("", _table(head, rows), format="html")]


class MeasuredRole(SphinxRole):
    """A measured number: value, unit and interval, and its origin in a note beside it."""

    book: ClassVar[Book]

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number as HTML; a number that cannot be given is a warning."""
        name = self.text.strip()
        if name not in self.book.quantities:
            LOGGER.warning("no quantity %r in handbook/numbers", name, location=self.get_location())
            return [nodes.Text(f"({name}?)")], []
        self.book.used.add(name)
        quantity = self.book.quantities[name]
        try:
            measured = self.book.measured(name)
        except QuantityError as problem:
            LOGGER.warning("%s", problem, location=self.get_location())
            measured = self.book.reference.get(
                name
            )  # this machine's record may be older than the book
        if measured is None:
            command = self.book.how_to_measure(quantity.experiment)
            text = f'<span class="missing">(not measured yet: <code>{command}</code>)</span>'
            return [nodes.raw("", text, format="html")], []
        return [nodes.raw("", measured_html(quantity, measured), format="html")], []


def measured_html(quantity: Quantity, measured: Measured) -> str:
    """Return a measured number with its origin, as HTML."""
    low, value, high = (
        quantity.shown(number) for number in (measured.low, measured.value, measured.high)
    )
    unit = f"&nbsp;{escape(quantity.unit)}" if quantity.unit else ""
    interval = "" if low == high else f' <span class="interval">({low} to {high})</span>'
    origin = (
        f"{quantity.statistic} of {measured.samples:,} samples of {quantity.experiment}"
        f"{'' if low == high else ', with its 90 % bootstrap interval'}. Measured on {day(measured.started)} on "
        f"{measured.cpu}, {measured.cores} cores; {measured.runtime}, profile {measured.profile}."
    )
    least, most = quantity.holds
    broken = not least <= measured.value <= most
    if broken:
        origin += f" The text expects {least:g} to {most:g}{' ' + quantity.unit if quantity.unit else ''}."
    classes = "measured broken" if broken else "measured"
    return (
        f'<span class="{classes}" tabindex="0">{value}{unit}{interval}'
        f'<span class="origin" role="tooltip">{escape(origin)}</span></span>'
    )


def _badge(outcome: str) -> str:
    return f'<span class="verdict {outcome}">{outcome}</span>'


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    titles = "".join(f"<th>{title}</th>" for title in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    table = f'<table class="table"><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="pst-scrollable-table-container">{table}</div>'
