"""One mechanism of each lab for a student to write: `of("phase1")` shows the task, the stub and the cell to copy.

The student's code runs in the real service, by `%%replace`, and `judge("p1-m", env)` judges it with an experiment of
the lab. `labs/grading/mechanisms.py` runs the further checks of an instructor's clone.
"""

from labs.mechanisms.writing import Mechanism, Task, every_mechanism, judge, of

__all__ = ["Mechanism", "Task", "every_mechanism", "judge", "of"]
