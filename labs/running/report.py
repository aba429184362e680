"""The report of `lab run`: one HTML page, complete in itself, made from run records alone."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from functools import cache
from os.path import relpath
from pathlib import Path
from typing import Any

import jinja2

from labs.records import Record, write_whole
from labs.verdicts import Verdict

TEMPLATES = Path(__file__).resolve().parent / "templates"

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""A terminal's colour codes, of which a traceback is full."""

MISSING = "missing"
"""How an expected verdict that never came is shown."""


def write_report(records: Sequence[Record], folder: Path) -> Path:
    """Write `report.html` into `folder`, over the one of the run before; returns its path."""
    page = folder / "report.html"
    text = render(records, folder)
    write_whole(page, lambda draft: draft.write_text(text, encoding="utf-8"))
    return page


def render(records: Sequence[Record], folder: Path) -> str:
    """The page's text; links are relative to `folder`."""
    labs = [_lab(record, folder) for record in records]
    counts = dict.fromkeys(("fail", MISSING, "inconclusive", "pass"), 0)
    for lab in labs:
        for experiment in lab["experiments"]:
            counts[experiment["outcome"]] += 1
    return str(_template().render(labs=labs, counts={w: n for w, n in counts.items() if n}))


def _lab(record: Record, folder: Path) -> dict[str, Any]:
    facts = record.facts
    notebook = facts.get("notebook")
    return {
        **facts,
        "title": facts.get("title", facts["phase"]),
        "folder": relpath(record.path, folder),
        "notebook": relpath(record.path / notebook, folder) if notebook else None,
        "experiments": [_experiment(record, name) for name in record.experiments]
        + [
            {"name": name, "outcome": MISSING}
            for name in facts.get("expected", ())
            if name not in record.experiments
        ],
        "parameters": {"seed": facts.get("seed"), **(facts.get("parameters") or {})},
    }


def _experiment(record: Record, name: str) -> dict[str, Any]:
    entry, verdict = record.facts["experiments"][name], record.verdict(name)
    return {
        "name": name,
        "outcome": verdict.outcome.value,
        "judged": verdict.judged,
        "reasons": verdict.reasons,
        "theory": entry["theory"],
        "prediction": record.prediction(name).to_dict("records"),
        "figure": embedded(record.path / entry["figure"]),
        "details": _details(verdict),
        "again": _again(record, name, verdict),
    }


def _again(record: Record, name: str, verdict: Verdict) -> bool:
    """Whether the recorded samples, judged now, still give the recorded verdict."""
    return record.judge(name) == verdict


def _details(verdict: Verdict) -> str:
    if not verdict.details:
        return ""
    return json.dumps(verdict.details, indent=2, default=str)


def embedded(image: Path) -> str:
    """A picture as an address that holds it, so that a page is complete in itself."""
    return "data:image/png;base64," + base64.b64encode(image.read_bytes()).decode()


def _number(value: Any) -> str:
    """Numbers as a person writes them; everything else as it is."""
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["plain"] = lambda text: COLOUR.sub("", text)
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment.get_template("report.html")
