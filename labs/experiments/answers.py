"""Answers that must be exact: what was asked, what came, what was predicted, side by side.

An experiment of this kind predicts a table with a column `expected` and measures one with a column
`observed`, both texts, with one row per question; the columns in `keys` say which question it is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.patches import FancyBboxPatch

from labs.figures import BLUE, INK, SOFT, VERMILLION, canvas
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def compare(samples: pd.DataFrame, prediction: pd.DataFrame, keys: tuple[str, str]) -> pd.DataFrame:
    """The prediction with a column `observed`, the last attempt's; empty where nobody answered.

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
) -> Verdict:
    """Pass when every answer is the expected one; inconclusive where a question was not asked.

    `rows` says how the first of `keys` is written. `doubts` say why the answers may be those of
    another situation than the predicted one: with any, a wrong one is no failure.
    """
    both = compare(samples, prediction, keys)
    questions = both[keys[0]].map(rows.format) + ": " + both[keys[1]]
    silent = both["observed"] == ""
    wrong = (both["observed"] != both["expected"]) & ~silent
    return Verdict.of(
        experiment,
        judged,
        failures=[f"{question}: not as predicted" for question in questions[wrong] if not doubts],
        doubts=[*doubts, *(f"{question}: not asked" for question in questions[silent])],
        details=dict(zip(questions, both["observed"], strict=True)),
    )


def plot_exact(
    title: str,
    samples: pd.DataFrame,
    prediction: pd.DataFrame,
    keys: tuple[str, str],
    *,
    height: float,
    rows: str = "{}",
) -> Figure:
    """A table of answers, coloured by agreement with the prediction beneath each.

    `keys` name the column of the questions' rows, and that of their columns; `rows` says how a row
    is labelled; `height` is in inches.
    """
    both = compare(samples, prediction, keys)
    figure, (ax,) = canvas(
        title,
        runtime=samples["runtime"].iloc[0],
        note="the large word is the answer, the small one the prediction",
        height=height,
    )
    lines, columns = (list(dict.fromkeys(both[key])) for key in keys)
    for row in both.to_dict("records"):
        _draw(ax, columns.index(row[keys[1]]), lines.index(row[keys[0]]), row)
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set_xticks(range(len(columns)), [textwrap.fill(column, 16) for column in columns])
    ax.set_yticks(range(len(lines)), [rows.format(line) for line in lines])
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return figure


def _draw(ax: Axes, column: int, line: int, row: dict[Any, Any]) -> None:
    agrees = row["observed"] == row["expected"]
    ax.add_patch(_tile(column, line, BLUE if agrees else VERMILLION))
    answer = ("" if agrees else "✗ ") + (row["observed"] or "no answer")
    ax.text(column, line - 0.08, answer, ha="center", va="center", size=14, color=INK)
    ax.text(column, line + 0.26, f"predicted: {row['expected']}", ha="center", size=7.5, color=SOFT)


def _tile(column: int, line: int, colour: str) -> FancyBboxPatch:
    return FancyBboxPatch(
        (column - 0.42, line - 0.36),
        0.84,
        0.78,
        boxstyle="round,pad=0,rounding_size=0.05",
        facecolor=colour,
        alpha=0.16,
        edgecolor="none",
    )
