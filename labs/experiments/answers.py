"""Exact answers: each question, its answer and the predicted answer, side by side.

An experiment of this kind predicts a table with a column `expected` and measures one with a column `observed`, both
texts, with one row per question; the columns in `keys` identify the question.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import FAINT, FAULT_TEXT, INK, SOFT, canvas
from labs.judging import SETTLED, Case, Finding, doubt, failure, latest, verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from labs.verdicts import Verdict

HEADER, LINE = 1.2, 0.27
"""Inches of a table's figure: all above its first row, and each row."""


def compare(samples: pd.DataFrame, prediction: pd.DataFrame, keys: tuple[str, str]) -> pd.DataFrame:
    """Return the prediction with a column `observed`: the last attempt's answers, empty where there is none.

    A question that was asked several times shows every different answer it got.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    asked = last.groupby(list(keys), sort=False)["observed"]
    observed = asked.agg(lambda answers: " / ".join(dict.fromkeys(answers))).reset_index()
    both = prediction.merge(observed, on=list(keys), how="left")
    both["observed"] = both["observed"].fillna("")
    return both


def judge_exact(
    experiment: str,
    judged: str,
    samples: pd.DataFrame,
    prediction: pd.DataFrame,
    keys: tuple[str, str],
    *,
    rows: str = "{}",
    doubts: Sequence[str] = (),
    excuse: str = "",
) -> Verdict:
    """Pass when every answer is the expected one; inconclusive where a question was not asked.

    Policy `latest`: each attempt asks every question again, and is followed by another one only while it is in doubt.

    Args:
        experiment: The experiment's `__name__`.
        judged: What has to hold, as a sentence.
        samples: What its `measure` returned.
        prediction: What its `predict` returned.
        keys: The two columns that identify a question.
        rows: How the first of `keys` is written.
        doubts: Why the answers may be those of another situation than the predicted one. With any, neither a right
            answer counts nor a wrong one.
        excuse: What else may have caused a wrong answer, and cannot cause a right one: wrong answers are in doubt.
    """
    both = compare(samples, prediction, keys)
    questions = both[keys[0]].map(rows.format) + ": " + both[keys[1]]
    cases = [Case("", [doubt(reason)]) for reason in doubts] or [
        Case(question, [_finding(row, excuse)])
        for question, row in zip(questions, both.to_dict("records"), strict=True)
    ]
    details = dict(zip(questions, both["observed"], strict=True))
    return verdict(experiment, judged, cases, latest, details=details)


def _finding(row: Mapping[Any, Any], excuse: str) -> Finding:
    if not row["observed"]:
        return doubt("not asked")
    if row["observed"] == row["expected"]:
        return SETTLED
    return doubt(f"not as predicted, but {excuse}") if excuse else failure("not as predicted")


def plot_exact(
    title: str,
    samples: pd.DataFrame,
    prediction: pd.DataFrame,
    keys: tuple[str, str],
    *,
    rows: str = "{}",
) -> Figure:
    """Draw a table of answers; where one differs from the prediction, both are shown, in another colour.

    Args:
        title: What the run showed, as a sentence.
        samples: What the experiment's `measure` returned.
        prediction: What its `predict` returned.
        keys: The columns that become the table's rows, and its columns.
        rows: How the label of a row is written.
    """
    both = compare(samples, prediction, keys)
    lines, columns = (list(dict.fromkeys(both[key])) for key in keys)
    right = int((both["observed"] == both["expected"]).sum())
    figure, (ax,) = canvas(
        title,
        runtime=samples["runtime"].iloc[0],
        note=f"{right} of {len(both)} answers as predicted",
        height=HEADER + LINE * len(lines),
    )
    for row in both.to_dict("records"):
        _write(ax, columns.index(row[keys[1]]), lines.index(row[keys[0]]), row)
    for edge in range(len(lines) + 1):
        ax.axhline(edge - 0.5, color=FAINT if edge else SOFT, linewidth=0.8)
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set_xticks(range(len(columns)), [textwrap.fill(column, 16) for column in columns])
    ax.set_yticks(range(len(lines)), [rows.format(line) for line in lines])
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return figure


def _write(ax: Axes, column: int, line: int, row: Mapping[Any, Any]) -> None:
    agrees = row["observed"] == row["expected"]
    text = row["observed"] or "no answer"
    if not agrees:
        text = f"✗ {text} (predicted: {row['expected']})"
    colour = INK if agrees else FAULT_TEXT
    ax.text(column, line, text, ha="center", va="center", size=10, color=colour)
