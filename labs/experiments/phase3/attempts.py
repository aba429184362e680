"""The attempt that a figure draws, where it draws one of several."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def drawn_attempt(samples: pd.DataFrame, counted: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the last of the attempts that the verdict counts; else the last of all."""
    return counted[-1] if counted else samples[samples["attempt"] == samples["attempt"].max()]


def note_attempt(samples: pd.DataFrame, drawn: pd.DataFrame) -> str:
    """Return which attempt a figure draws, of how many; empty when there is only one."""
    attempts = samples["attempt"].nunique()
    return f"; attempt {drawn['attempt'].iloc[0]} of {attempts}" if attempts > 1 else ""
