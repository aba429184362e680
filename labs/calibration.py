"""Calibration: how often a guess was right, against how sure its author was."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd

COIN = 0.25
"""The Brier score of somebody who is 0.5 sure of everything."""

NOTHING = (
    "No guess of this run was compared with a measurement. "
    "A guess is a line such as run.guess(hop, overhead_ms=2, sure=0.8), before its measurement."
)

COLUMNS = ("experiment", "quantity", "guessed", "unit", "sure", "theory", "measured", "right")


def as_table(guesses: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> pd.DataFrame:
    """Return the guesses of a record as a table, a row for each; `right` is missing where nothing was measured."""
    rows = [
        {**entry, "experiment": experiment, "quantity": quantity, "guessed": entry["value"]}
        for experiment, entries in guesses.items()
        for quantity, entry in entries.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@dataclass(frozen=True)
class Calibration:
    """How good guesses were.

    Attributes:
        topics: A row for each guess that was compared with a measurement.
        levels: A row for each level of confidence: how many guesses, how many of them right.
    """

    topics: pd.DataFrame
    levels: pd.DataFrame

    @classmethod
    def of(cls, guesses: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Self:
        """Return the calibration of the guesses of a record."""
        table = as_table(guesses)
        topics = table[table["right"].notna()].reset_index(drop=True)
        topics["right"] = topics["right"].astype(bool)
        by_level = topics.groupby(topics["sure"].astype(float).round(2))["right"]
        levels = by_level.agg(guesses="size", right="sum", share="mean").reset_index()
        return cls(topics, levels)

    @property
    def brier(self) -> float:
        """The Brier score: the mean squared distance between how sure one was and what came out (1 right, 0 not)."""
        return float(((self.topics["sure"] - self.topics["right"]) ** 2).mean())

    @property
    def summary(self) -> str:
        """What the numbers mean, in a few sentences."""
        if self.topics.empty:
            return NOTHING
        count, right = len(self.topics), int(self.topics["right"].sum())
        sure = float(self.topics["sure"].mean())
        return (
            f"You were {sure:.0%} sure on average, and right in {right} of {count} "
            f"({right / count:.0%}): {self._tendency(sure, right / count, count)}. "
            f"Brier score {self.brier:.2f}: 0 is to be certain and right each time, {COIN} is to be 0.5 "
            f"sure of everything, and {self._against_the_coin()}."
        )

    @staticmethod
    def _tendency(sure: float, share: float, count: int) -> str:
        chance = 2 * (sure * (1 - sure) / count) ** 0.5
        if abs(sure - share) <= chance:
            return "as far as so few guesses can show, you were as sure as you were right"
        return (
            "you were too sure" if sure > share else "you were right more often than you expected"
        )

    def _against_the_coin(self) -> str:
        if self.brier < COIN:
            return "yours is smaller: your guesses carry information"
        if self.brier > COIN:
            return "yours is larger: being so sure made your guesses worse than a coin's"
        return "yours is the same"

    def __repr__(self) -> str:
        if self.topics.empty:
            return NOTHING
        tables = (self._shown_levels(), self._shown_topics())
        return "\n\n".join([self.summary, *(table.to_string(index=False) for table in tables)])

    def _repr_html_(self) -> str:
        if self.topics.empty:
            return f"<p>{html.escape(NOTHING)}</p>"
        tables = (self._shown_levels(), self._shown_topics())
        shown = "".join(table.to_html(index=False, na_rep="-", border=0) for table in tables)
        return f"<p>{html.escape(self.summary)}</p>{shown}"

    def _shown_levels(self) -> pd.DataFrame:
        percent = "{:.0%}".format
        return self.levels.assign(
            sure=self.levels["sure"].map(percent), share=self.levels["share"].map(percent)
        ).rename(columns={"share": "share right"})

    def _shown_topics(self) -> pd.DataFrame:
        numbers = {
            name: self.topics[name].map("{:.3g}".format, na_action="ignore")
            for name in ("guessed", "theory", "measured")
        }
        yes_or_no = self.topics["right"].map({True: "yes", False: "no"})
        return self.topics.assign(
            **numbers, sure=self.topics["sure"].map("{:.0%}".format), right=yes_or_no
        )
