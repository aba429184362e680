"""The quick checks of handed-in mechanisms: the reference is right, and each twin is wrong for its reason."""

import ast
import asyncio
import runpy
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from environment.errors import LabError
from environment.replacing import Replacement
from labs.grading import mechanisms
from labs.grading.mechanisms import (
    FOLDER,
    NOT_CHECKED,
    NOT_HANDED_IN,
    RIGHT,
    graded,
    outcome,
    run_checks,
    submitted,
)
from labs.grading.reading import Bundle
from labs.mechanisms import Mechanism, every_mechanism
from microservices.api_gateway import breaker as breaker_module
from tests.mutants.mechanisms import reference, twins
from tests.mutants.mechanisms import source as twin_source

pytestmark = pytest.mark.timeout(60)

IDS = list(every_mechanism())
TWINS = [(id, twin) for id in IDS for twin in twins(id)]

ONE = every_mechanism()["p1-m"]
CHECKS = FOLDER / "p1-m" / "checks.py"


def judged(id: str, source: str) -> str:
    return run_checks(every_mechanism()[id].checked(source), FOLDER / id / "checks.py")


@pytest.mark.parametrize("id", IDS)
def test_the_reference_answer_passes_every_check(id: str) -> None:
    assert judged(id, reference(id)) == RIGHT


@pytest.mark.parametrize("id", IDS)
def test_the_service_s_own_code_passes_every_check(id: str) -> None:
    original = every_mechanism()[id].original
    own = ast.get_source_segment(original.text, original.node) or ""
    replacement = Replacement(original.target, original.module, original.name, own)
    assert run_checks(replacement, FOLDER / id / "checks.py") == RIGHT


@pytest.mark.parametrize(("id", "twin"), TWINS)
def test_a_wrong_twin_fails_the_check_that_is_made_for_it(id: str, twin: str) -> None:
    _, reason = twins(id)[twin]
    assert judged(id, twin_source(id, twin)).startswith(f"wrong: {reason}")


@pytest.mark.parametrize("id", IDS)
def test_a_mechanism_has_three_twins(id: str) -> None:
    files = {path.stem.removeprefix("twin_") for path in (FOLDER / id).glob("twin_*.py")}
    assert files == set(twins(id))
    assert len(files) >= 3


@pytest.mark.parametrize("phase", sorted({id.partition("-")[0] for id in IDS}))
def test_the_experiments_of_a_phase_see_a_twin(phase: str) -> None:
    reasons = [live for id in IDS if id.startswith(phase) for live, _ in twins(id).values()]
    assert any(reasons)


@pytest.mark.parametrize("id", IDS)
def test_the_stated_size_is_that_of_the_reference_answer(id: str) -> None:
    [*_, definition] = ast.parse(reference(id)).body
    lines = (ast.get_source_segment(reference(id), definition) or "").splitlines()
    assert every_mechanism()[id].lines == sum(bool(line.strip()) for line in lines)


class ByTheClock(breaker_module.Breaker):
    """The service's own, whose state is half-open as soon as the open time is over."""

    def __init__(
        self, *, failures: int, open_seconds: float, changed: Callable[[str, str], None]
    ) -> None:
        self.until = 0.0

        def noted(old: str, new: str) -> None:
            self.until = time.monotonic() + open_seconds
            changed(old, new)

        super().__init__(failures=failures, open_seconds=open_seconds, changed=noted)

    @property
    def state(self) -> str:
        over = super().state == "open" and time.monotonic() > self.until
        return "half-open" if over else super().state


@pytest.mark.parametrize(
    ("check", "seconds"),
    [("opens_after_failed_probe", 0.1), ("stays_open_after_failed_probe", 0.5)],
)
def test_a_slow_machine_fails_no_right_breaker(check: str, seconds: float) -> None:
    names = runpy.run_path(str(CHECKS))
    upstream, pauses = names["Upstream"], [seconds]
    get = upstream.get

    async def slow_get(self: Any, status: int | None) -> Any:
        response = await get(self, status)
        if self.calls == 4 and pauses:  # the probe
            time.sleep(pauses.pop())
        return response

    upstream.get = slow_get
    module = SimpleNamespace(Breaker=ByTheClock, CircuitOpen=breaker_module.CircuitOpen)
    asyncio.run(names[check](module))
    assert not pauses


def notebook(*cells: str) -> str:
    return "".join(f"# %% cell {number}\n{cell}\n\n" for number, cell in enumerate(cells, start=1))


MAGIC = f"%%replace {ONE.service} {ONE.target}\n"


@pytest.mark.parametrize(
    ("cells", "source"),
    [
        ([], None),
        (["x = 1"], None),
        ([MAGIC], None),
        ([ONE.cell], None),
        ([MAGIC + "class Breaker: ..."], "class Breaker: ..."),
        ([MAGIC + "class A: ...", "%heal", MAGIC + "class B: ..."], "class B: ..."),
        (["%%replace api-gateway limiter.Limiter\nclass A: ..."], None),
        (
            ["class Mine: ...", f'with env["x"].replaced("{ONE.target}", Mine):\n    pass'],
            "class Mine: ...",
        ),
        ([f'%heal\nwith env["x"].replaced("{ONE.target}", "class M: ..."): pass'], "class M: ..."),
        (['SOURCE = "class M: ..."', f'e.replaced("{ONE.target}", SOURCE)'], "class M: ..."),
        ([f"# {ONE.target} and nothing else"], None),
    ],
)
def test_the_last_source_for_a_target_is_what_was_handed_in(
    cells: list[str], source: str | None
) -> None:
    found = submitted(ONE, notebook(*cells))
    assert (found or "").strip() == (source or "")


CHOOSE = every_mechanism()["p3-m"]
OWN = "def choose(intervals, window):\n    return floor(1)"
CONTINUED = "def choose(intervals, window):\n    return (window\n        % 7)"


@pytest.mark.parametrize(
    ("cells", "source"),
    [
        ([CHOOSE.cell], None),
        (["choose = 1", "mechanisms.judge('p3-m', env, choose)"], None),
        (["def choose(intervals, window: ..."], None),
        ([OWN, "# yours"], OWN),
        ([OWN.replace("1", "2"), OWN, 'mechanisms.judge("p3-m", env, choose)'], OWN),
        ([f"from math import floor\n{OWN}\nchoose([], 1)"], f"from math import floor\n\n{OWN}"),
        ([f"from labs.experiments.phase3.autoscaler import TARGET\n{OWN}"], OWN),
        ([f"%matplotlib inline\nN = 2\n{OWN}"], f"N = 2\n\n{OWN}"),
        ([f"{OWN}\nchoose?"], OWN),
        ([f"?choose\n{OWN}\n!ls"], OWN),
        ([f"%%time\n{OWN}"], OWN),
        ([f"{OWN}\ntimes = %timeit -o choose([], 1)"], OWN),
        ([CONTINUED], CONTINUED),
        ([f"%matplotlib inline\n{CONTINUED}"], CONTINUED),
    ],
)
def test_the_last_cell_that_defines_a_function_of_the_lab_is_what_was_handed_in(
    cells: list[str], source: str | None
) -> None:
    assert submitted(CHOOSE, notebook(*cells)) == source


def test_a_function_of_the_lab_is_checked_as_it_stands_in_its_cell() -> None:
    header = CHOOSE.cell[: CHOOSE.cell.index("def ")]
    right = notebook(f"import math\n\n{header}{reference('p3-m')}", "choose([(1, 0.5)], 1)")
    assert outcome(CHOOSE, right, FOLDER / "p3-m" / "checks.py") == RIGHT
    other = notebook(OWN.replace("choose(", "chosen("))
    assert outcome(CHOOSE, other, FOLDER / "p3-m" / "checks.py") == NOT_HANDED_IN
    unknown = outcome(CHOOSE, notebook(OWN), FOLDER / "p3-m" / "checks.py")
    assert (
        "neither your source nor labs/experiments/phase3/autoscaler.py defines `floor`" in unknown
    )


def test_a_block_whose_source_is_not_in_the_notebook_is_not_readable() -> None:
    code = notebook(f'with env["x"].replaced("{ONE.target}", Path("mine.py")): pass')
    assert outcome(ONE, code, CHECKS).startswith("not readable: The cells do not hold the source")


def test_a_cell_after_an_unreadable_block_is_handed_in() -> None:
    block = f'with env["x"].replaced("{ONE.target}", Path("mine.py")): pass'
    assert submitted(ONE, notebook(block, MAGIC + "class B: ...")) == "class B: ...\n\n"
    with pytest.raises(LabError, match="do not hold the source"):
        submitted(ONE, notebook(MAGIC + "class B: ...", block))


def test_a_source_that_no_service_takes_is_not_readable() -> None:
    code = notebook(MAGIC + "import os\nclass Breaker: ...")
    assert "not readable: Your `Breaker`, line 1, `import os`" in outcome(ONE, code, CHECKS)


def test_nothing_is_checked_in_a_clone_without_the_checks(tmp_path: Path) -> None:
    assert outcome(ONE, notebook(), tmp_path / "checks.py") == NOT_CHECKED
    assert outcome(ONE, notebook(), CHECKS) == NOT_HANDED_IN


FIRST = "    def __init__(self, *, failures, open_seconds, changed):\n"


def breaker(first: str) -> str:
    """Return the reference answer with one more line at the beginning of its first method."""
    return reference("p1-m").replace(FIRST, f"{FIRST}        {first}\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("raise SystemExit(0)", "(SystemExit: 0)"),
        ("raise ValueError('ä\\n€')", "(ValueError: \\xe4 \\u20ac)"),
        pytest.param(
            *("self.much = bytearray(4 << 30)", "(MemoryError: )"),
            marks=pytest.mark.skipif(
                sys.platform == "darwin", reason="macOS sets no limit of memory"
            ),
        ),
        ("random._os._exit(0)", "(its process ended with code 0)"),
        ("print({'end': 'right'})", ""),
        (
            "[random._os.write(3, b'x' * 4096) for _ in range(1 << 12)]",
            "(it wrote more than 65,536 bytes)",
        ),
    ],
)
def test_a_source_cannot_end_the_grading(line: str, reason: str) -> None:
    result = judged("p1-m", "import random\n" + breaker(line))
    assert (reason in result and result.startswith("wrong: ")) if reason else result == RIGHT


def test_an_endless_loop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "SECONDS", 1.0)
    result = judged("p1-m", breaker("while True: pass"))
    assert result.endswith("(it did not end within 1 s)")


LEFT_BEHIND = (
    "hasattr(random, 'once') or setattr(random, 'once', 1) or random._os.fork() or "
    "(random._os.setsid(), random._os.execl('/bin/sleep', 'sleep', '15'))"
)


def test_a_process_that_a_source_leaves_behind_holds_nothing_up() -> None:
    since = time.monotonic()
    kept_open = f"random._os.set_inheritable(3, True); {LEFT_BEHIND}"
    assert judged("p1-m", "import random\n" + breaker(kept_open)) == RIGHT
    assert time.monotonic() < since + 12


def checks_that_load(folder: Path, line: str) -> Path:
    """Write checks that any source passes, and that run a line when they are loaded."""
    file = folder / "checks.py"
    file.write_text(f"{line}\ndef loads(module):\n    assert module\nCHECKS = (loads,)\n")
    return file


def test_checks_that_are_slow_to_load_leave_the_source_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mechanisms, "SECONDS", 3.0)
    checks = checks_that_load(tmp_path, "import time\ntime.sleep(3.5)")
    assert run_checks(ONE.checked(reference("p1-m")), checks) == RIGHT


def test_checks_that_cannot_begin_leave_a_source_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = run_checks(
        ONE.checked(reference("p1-m")), checks_that_load(tmp_path, "import not_there")
    )
    assert broken.startswith("not checked: The checks did not begin (ModuleNotFoundError: ")
    monkeypatch.setattr(mechanisms, "START_SECONDS", 1.0)
    hung = checks_that_load(tmp_path, "import time\ntime.sleep(60)")
    late = run_checks(ONE.checked(reference("p1-m")), hung)
    assert late == "not checked: The checks did not begin (it did not end within 1 s)"


def test_a_long_temporary_folder_hinders_no_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert judged("p2-m", reference("p2-m")) == RIGHT


def test_a_source_has_no_environment_and_an_empty_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    line = "raise KeyError([*random._os.environ, *random._os.listdir()])"
    result = judged("p1-m", "import random\n" + breaker(line))
    assert "SECRET" not in result
    assert result.endswith("(KeyError: [])") or "LC_CTYPE" in result


def test_a_bundle_has_an_outcome_for_each_mechanism_of_its_phase(tmp_path: Path) -> None:
    code = notebook("x = 1", MAGIC + reference("p1-m")).encode()
    bundle = Bundle({}, {"phase": "phase1", "experiments": {}}, {"code.py": code})
    assert graded(bundle) == {"p1-m": RIGHT}
    assert graded(bundle, tmp_path) == {"p1-m": NOT_CHECKED}
    assert set(graded(Bundle({}, {"phase": "phase0"}, {}))) == {"p0-m"}


def test_each_mechanism_states_what_a_student_needs() -> None:
    for mechanism in every_mechanism().values():
        assert isinstance(mechanism, Mechanism)
        assert mechanism.stub in mechanism.cell
        assert mechanism.stub.count("...") >= 1
