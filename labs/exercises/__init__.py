"""The exercises of the labs: `check("p1-3", answer)` says whether an answer is right, and what to look at if not."""

from labs.exercises.checking import DEFAULT_SEED, Exercise, Feedback, check, every_exercise, of
from labs.exercises.designs import intervals

__all__ = ["DEFAULT_SEED", "Exercise", "Feedback", "check", "every_exercise", "intervals", "of"]
