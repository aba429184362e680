"""Formulas as MathML, which every browser draws without a script, a font or a network."""

from __future__ import annotations

import re
from html import escape

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

LOGGER = logging.getLogger(__name__)

_UNKNOWN = re.compile(r"<mi>(\\[a-zA-Z]+)</mi>")  # a command that the converter passes on as text


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer with Sphinx, as `mathml`."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True}


def visit_inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    writer.body.append(_mathml(node, "inline"))
    raise nodes.SkipNode


def visit_block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    writer.body.append(f'<div class="math">{_mathml(node, "block")}</div>')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, display: str) -> str:
    latex = node.astext().strip()
    try:
        if latex.count("{") != latex.count("}"):
            raise ValueError("a brace is missing")
        text: str = convert(latex, display=display)
    except Exception as problem:  # the converter raises errors of several kinds
        LOGGER.warning("the formula $%s$ cannot be read: %s", latex, problem, location=node)
        return f"<code>{escape(latex)}</code>"
    if unknown := _UNKNOWN.search(text):
        LOGGER.warning("the formula $%s$ has an unknown %s", latex, unknown[1], location=node)
    return text
