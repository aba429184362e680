"""A hidden fault: one of ten kinds in the running system of phase 4, for a student to detect, locate and repair."""

from environment.mystery.healthy import require_whole
from environment.mystery.kinds import KINDS, Kind
from environment.mystery.mystery import Mystery

__all__ = ["KINDS", "Kind", "Mystery", "require_whole"]
