"""A hidden fault: one of ten kinds in the running system of phase 4, for a student to detect, locate and repair.

It is hidden, and not locked. The environment's table, its state and its progress do not show it. But `lab ps` names
code that was replaced, the operating system or Docker shows the settings and start times of processes, the attributes
of a `Mystery` hold the answer, and a seed always gives the same one.
"""

from environment.mystery.healthy import require_whole
from environment.mystery.kinds import KINDS, Kind
from environment.mystery.mystery import Mystery, chosen

__all__ = ["KINDS", "Kind", "Mystery", "chosen", "require_whole"]
