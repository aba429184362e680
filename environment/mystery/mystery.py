"""A mystery: the fault that stands, what the student has noted about it, and the score."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from difflib import get_close_matches
from typing import TYPE_CHECKING, Self

import httpx
import pandas as pd

from environment.errors import LabError, UnknownName
from environment.mystery.healthy import prepare
from environment.mystery.kinds import KINDS, Kind

if TYPE_CHECKING:
    from environment.client.environment import Environment


def chosen(seed: int) -> tuple[Kind, str]:
    """Return the fault of a seed, and its place."""
    choice = random.Random(f"mystery {seed}")
    kind = choice.choice(KINDS)
    return kind, choice.choice(kind.places)


class Mystery:
    """A fault that stands in the system, and that a student detects, names and repairs. `env.mystery(seed)` begins it.

    Times are in seconds since the fault began. The end of the block, or `heal()`, removes the fault, also after an
    error; the score then shows what it was.
    """

    def __init__(self, env: Environment, seed: int) -> None:
        self.seed, self._env = seed, env
        self._kind, self._place = chosen(seed)
        self._times: dict[str, float] = {}
        self._saw, self._wrong = "", 0
        self._fault = ExitStack()
        prepare(env)
        self._fault.enter_context(self._kind.begin(env, self._place))
        self._began, self._ended = time.monotonic(), False

    # -- what a student does --

    def detected(self, saw: str) -> str:
        """Note that something is wrong, and what showed it; the first time counts."""
        self._require_standing()
        self._note("detected")
        self._saw = self._saw or saw
        return "Noted. Which of the kinds is it, and where? `mystery.kinds` lists them."

    def name(self, kind: str, place: str) -> str:
        """Judge a kind and a place of `kinds`; a wrong guess is counted.

        Raises:
            UnknownName: there is no such kind, or it cannot be in that place; nothing is counted.
        """
        self._require_standing()
        guess = _kind(kind)
        if place not in guess.places:
            raise UnknownName(
                f"There is no {place!r} for a {guess.name}. Choose one of {', '.join(guess.places)}."
            )
        if (guess, place) != (self._kind, self._place):
            self._wrong += 1
            return self._feedback(guess, place)
        self._note("detected")
        self._note("located")
        return f"Right, after {self._times['located']:.0f} s. Now repair it, then `mystery.repaired()`."

    def repaired(self) -> str:
        """Measure whether the symptom is gone, for up to ten seconds; the time at which the call began counts."""
        asked = self._now()
        try:
            shows = self._kind.symptom(self._env, self._place)
        except (LabError, httpx.HTTPError):
            return "That cannot be measured yet: another part of the system does not work. Repair it, and try again."
        if shows:
            return "Not yet: the symptom is still there."
        if self._ended:
            return "The system is healthy. It was healed by the end of the mystery, so no time is noted."
        self._times.setdefault("repaired", asked)
        return f"Repaired, after {self._times['repaired']:.0f} s: the symptom is gone."

    def heal(self) -> pd.DataFrame:
        """End the fault, and return the score, which shows what it was. Does nothing when the fault has ended."""
        self._ended = True
        self._fault.close()
        return self.score

    # -- what it shows --

    @property
    def stands(self) -> bool:
        """Whether the mystery has not ended, even when a student has repaired its fault."""
        return not self._ended

    @property
    def kinds(self) -> pd.DataFrame:
        """Return the ten kinds: kind, what happens, and the places where it can be."""
        rows = [(kind.name, kind.sentence, ", ".join(kind.places)) for kind in KINDS]
        return pd.DataFrame(rows, columns=["kind", "what happens", "places"])

    @property
    def score(self) -> pd.DataFrame:
        """Return one row: seed, seconds until detected, located and repaired, wrong guesses, and the note.

        `kind` and `place` are there once they were named, or the mystery has ended.
        """
        shown = self._ended or "located" in self._times
        row = {
            "seed": self.seed,
            **{step: self._times.get(step) for step in ("detected", "located", "repaired")},
            "wrong guesses": self._wrong,
            "saw": self._saw,
            "kind": self._kind.name if shown else "?",
            "place": self._place if shown else "?",
        }
        return pd.DataFrame([row]).round(1)

    def __repr__(self) -> str:
        return f"<Mystery of seed {self.seed}>\n{self.score.to_string(index=False)}"

    def _repr_html_(self) -> str:
        return str(self.score.to_html(index=False))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()

    # -- inside --

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _note(self, step: str) -> None:
        self._times.setdefault(step, self._now())

    def _require_standing(self) -> None:
        if self._ended:
            raise LabError(
                "This mystery has ended, and `mystery.score` shows what it was. Begin another one: `env.mystery(seed)`."
            )

    def _feedback(self, guess: Kind, place: str) -> str:
        """Return what is right of a wrong guess, and no more."""
        if guess is self._kind:
            return "The kind is right, and the place is not."
        if place == self._place:
            return "The place is right, and the kind is not."
        return "Neither is right. What would that fault change, and what do you measure there?"


def _kind(name: str) -> Kind:
    known = {kind.name: kind for kind in KINDS}
    given = " ".join(name.lower().replace("-", " ").split())
    if given not in known:
        near = get_close_matches(given, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownName(f"There is no kind {name!r}.{hint} The kinds are: {', '.join(known)}.")
    return known[given]
