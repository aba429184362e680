"""The report of `lab run`: one HTML page without other files, made from run records alone."""

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
"""A terminal's colour codes, which a traceback contains."""

MISSING = "missing"
"""How the report shows an expected verdict that no cell gave."""


def write_report(records: Sequence[Record], root: Path) -> Path:
    """Write the report of one run into `reports/` of the runs' folder, and return its path.

    Each run has a report of its own, named like its first record; `report.html` leads to the latest.
    """
    folder = root / "reports"
    folder.mkdir(exist_ok=True)
    more = f"-and-{len(records) - 1}-more" if len(records) > 1 else ""
    page = folder / f"{records[0].path.name}{more}.html"
    _write(page, render(records, folder))
    phases = ", ".join(record.facts["phase"] for record in records)
    latest = template("latest.html").render(page=relpath(page, root), phases=phases)
    _write(root / "report.html", latest)
    return page


def _write(page: Path, text: str) -> None:
    write_whole(page, lambda draft: draft.write_text(text, encoding="utf-8"))


def render(records: Sequence[Record], folder: Path) -> str:
    """Return the page's text; links are relative to `folder`."""
    labs = [_lab(record, folder) for record in records]
    counts = dict.fromkeys(("fail", MISSING, "inconclusive", "pass"), 0)
    for lab in labs:
        for experiment in lab["experiments"]:
            counts[experiment["outcome"]] += 1
    given = {outcome: count for outcome, count in counts.items() if count}
    return template("report.html").render(labs=labs, counts=given)


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
        "guesses": _guesses(record),
        "calibration": record.calibration().summary,
        "parameters": {"seed": facts.get("seed"), **(facts.get("parameters") or {})},
    }


def _guesses(record: Record) -> list[dict[str, Any]]:
    """Return the guesses of a lab, with None for what is not known."""
    table = record.guesses.astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _experiment(record: Record, name: str) -> dict[str, Any]:
    entry, verdict = record.facts["experiments"][name], record.verdict(name)
    return {
        "name": name,
        "title": entry.get("title", name),
        "seconds": entry.get("seconds"),
        "outcome": verdict.outcome.value,
        "judged": verdict.judged,
        "reasons": verdict.reasons,
        "theory": entry["theory"],
        "prediction": record.prediction(name).to_dict("records"),
        "figure": embedded((record.path / entry["figure"]).read_bytes()),
        "details": _details(verdict),
        "again": _again(record, name, verdict),
    }


def _again(record: Record, name: str, verdict: Verdict) -> bool:
    """Return whether the recorded samples, judged now, still give the recorded verdict."""
    return record.judge(name) == verdict


def _details(verdict: Verdict) -> str:
    if not verdict.details:
        return ""
    return json.dumps(verdict.details, indent=2, default=str)


def embedded(image: bytes) -> str:
    """Return a picture (PNG) as a `data:` address, so that a page needs no other file."""
    return "data:image/png;base64," + base64.b64encode(image).decode()


def number_text(value: Any) -> str:
    """Return a number as a person writes it; everything else as it is."""
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
    return str(value)


def _duration(seconds: float) -> str:
    """Return "45 s", "9 min 12 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@cache
def template(name: str) -> jinja2.Template:
    """Return a template of this package, which escapes what is put into it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number_text
    environment.filters["duration"] = _duration
    environment.filters["plain"] = lambda text: COLOUR.sub("", text)
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment.get_template(name)
