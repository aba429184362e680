"""What a line of a page may not separate: a number and its unit, a formula and the comma after it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from docutils import nodes
from sphinx.application import Sphinx

NO_BREAK_SPACE = "\u00a0"

_UNITS = r"(?=(?:%|ms|s|min|h|KiB|MiB|GiB)(?!\w))"
_UNIT = re.compile(rf"(?<=\d)[ \n]{_UNITS}")
_FIRST_UNIT = re.compile(rf"^[ \n]{_UNITS}")
_FIRST_SIGN = re.compile(r"^[,.;:)]+")


def keep_together(app: Sphinx, document: nodes.document) -> None:
    """Put a no-break space before each unit, and join each formula to the sign that follows it."""
    code = nodes.FixedTextElement | nodes.literal | nodes.raw | nodes.math
    for element in [*document.findall(nodes.TextElement)]:
        if not isinstance(element, code):
            element[:] = _kept_together(element.children)


def _kept_together(children: Iterable[nodes.Node]) -> list[nodes.Node]:
    kept: list[nodes.Node] = []
    # MyST makes a text of each line, and one of each end of a line.
    for is_text, run in groupby(children, lambda child: isinstance(child, nodes.Text)):
        if not is_text:
            kept.extend(run)
            continue
        text = _UNIT.sub(NO_BREAK_SPACE, "".join(str(child) for child in run))
        if kept and isinstance(kept[-1], nodes.math):
            text = _FIRST_UNIT.sub(NO_BREAK_SPACE, text)
            # Browsers break a line behind a formula in spite of a word joiner.
            if sign := _FIRST_SIGN.match(text):
                parts = kept.pop(), nodes.Text(sign[0])
                kept.append(nodes.inline("", "", *parts, classes=["together"]))
                text = text[sign.end() :]
        kept.append(nodes.Text(text))
    return kept
