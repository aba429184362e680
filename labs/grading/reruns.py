"""Runs the labs of some students again on this machine, and compares the verdicts."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from environment.errors import LabError
from labs.grading.evaluation import Grade
from labs.records import load_record
from labs.running.headless import PROFILES

AGREES = "agrees"


def choose_reruns(grades: Sequence[Grade], share: float, seed: int) -> list[Grade]:
    """Return a random share of the bundles that can be run again, at least one of them.

    Raises:
        LabError: The share is not between 0 and 1.
    """
    if not 0 < share <= 1:
        raise LabError(f"--rerun is a share of the bundles above 0 and up to 1, not {share:g}.")
    possible = [grade for grade in grades if _can_run(grade)]
    number = math.ceil(share * len(possible))
    chosen = random.Random(seed).sample(range(len(possible)), number)
    return [possible[index] for index in sorted(chosen)]


def _can_run(grade: Grade) -> bool:
    return bool(grade.verdicts) and grade.profile in PROFILES and grade.seed is not None


def rerun(grades: Sequence[Grade], watch: Callable[[str], None]) -> None:
    """Run the phase of each bundle with its profile and seed, and note which verdicts differ.

    Bundles with the same phase, profile and seed share one run.
    """
    found: dict[tuple[str, str, int | None], dict[str, str]] = {}
    for number, grade in enumerate(grades, start=1):
        key = grade.phase, grade.profile, grade.seed
        watch(f"run {number} of {len(grades)}: {grade.phase}, seed {grade.seed}, for {grade.file}")
        if key not in found:
            found[key] = _run(*key)
        grade.rerun = _compared(grade.verdicts, found[key])


def _run(phase: str, profile: str, seed: int | None) -> dict[str, str]:
    """Return the verdicts of a run on this machine; its progress goes to standard error."""
    with tempfile.TemporaryDirectory(prefix="lab-rerun-") as folder:
        command = [sys.executable, "-m", "labs.cli", "run", phase, "--profile", profile]
        command += ["-p", f"SEED={seed}", "--out", folder]
        subprocess.run(command, stdout=sys.stderr, check=False)
        try:
            record = load_record(Path(folder) / "latest")
        except LabError:
            return {}
        return {name: record.verdict(name).outcome.value for name in record.experiments}


def _compared(given: dict[str, str], here: dict[str, str]) -> str:
    if not here:
        return "did not run"
    pairs = {name: (verdict, here.get(name, "missing")) for name, verdict in given.items()}
    different = [f"{name} {one} here {two}" for name, (one, two) in pairs.items() if one != two]
    return f"differs: {', '.join(different)}" if different else AGREES
