"""The version of the course: the git revision, and a hash of every module that takes part in a judgement."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from labs.machine import ROOT, revision
from labs.running.notebooks import Lab, all_labs

SHARED = ("labs/judging.py", "labs/verdicts.py", "labs/experiment.py", "labs/load/schedule.py")
"""The modules that judge in every phase."""


def course_version(phase: str) -> dict[str, Any]:
    """Return this clone's `revision` and `modules`: the hash of each module of a phase, by its path."""
    return {"revision": revision(), "modules": dict(module_hashes(phase))}


@cache
def labs() -> Mapping[str, Lab]:
    """Return the labs of this clone by their phases, which are read once."""
    return all_labs()


@cache
def module_hashes(phase: str) -> Mapping[str, str]:
    """Return the SHA-256 of each module of a phase's experiments and of the shared ones, by its path."""
    experiments = sorted((ROOT / "labs" / "experiments").glob("*.py"))
    modules = sorted((ROOT / "labs" / "experiments" / phase).glob("*.py"))
    paths = [*(ROOT / name for name in SHARED), *experiments, *modules]
    return {path.relative_to(ROOT).as_posix(): _hash_of_text(path.read_bytes()) for path in paths}


def _hash_of_text(data: bytes) -> str:
    """Return the hash of a module, whatever ends its lines in this clone."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()
